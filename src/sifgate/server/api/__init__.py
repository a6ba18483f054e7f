# SPDX-License-Identifier: Apache-2.0
"""HTTP API v1 (docs/protocol.md §2), one file per noun."""
