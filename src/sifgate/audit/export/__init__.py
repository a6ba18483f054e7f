# SPDX-License-Identifier: Apache-2.0
"""Records in the forms that other programs read."""
