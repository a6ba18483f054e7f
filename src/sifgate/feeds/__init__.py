# SPDX-License-Identifier: Apache-2.0
"""Facts that Clair does not bring: known exploited vulnerabilities and the end of life of distributions."""
