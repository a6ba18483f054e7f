# SPDX-License-Identifier: Apache-2.0
"""The site's rules: load them, judge with them. Judgement is pure."""
