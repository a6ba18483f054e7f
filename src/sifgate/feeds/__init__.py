# SPDX-License-Identifier: Apache-2.0
"""Facts that Clair does not bring: known exploited and likely exploited vulnerabilities, ends of support."""
