# SPDX-License-Identifier: Apache-2.0
"""Dated exceptions from the policy: what they are, how they are read, what they match."""
