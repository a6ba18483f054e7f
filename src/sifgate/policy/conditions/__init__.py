# SPDX-License-Identifier: Apache-2.0
"""What a rule may ask of a finding, one file per family; pure."""
