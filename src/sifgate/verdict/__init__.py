# SPDX-License-Identifier: Apache-2.0
"""Findings, coverage and feeds put together into one immutable verdict; pure."""
