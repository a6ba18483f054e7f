# SPDX-License-Identifier: Apache-2.0
"""The words of the design as frozen values; no I/O, no clock, nothing below but errors."""
