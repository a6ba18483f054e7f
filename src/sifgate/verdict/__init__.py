# SPDX-License-Identifier: Apache-2.0
"""A Clair report, coverage and feeds become a verdict; pure."""
