# SPDX-License-Identifier: Apache-2.0
"""Facts that Clair does not carry: known-exploited vulnerabilities and end-of-life dates."""
