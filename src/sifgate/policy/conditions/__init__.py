# SPDX-License-Identifier: Apache-2.0
"""What a rule's `when` may ask, one file per family; pure."""
