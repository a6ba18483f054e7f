# SPDX-License-Identifier: Apache-2.0
"""Ratios against a peer or a bare baseline, measured in the same run on the same machine; never in CI."""
