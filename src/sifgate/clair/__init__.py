# SPDX-License-Identifier: Apache-2.0
"""Clair v4's HTTP API: `api` talks, `schema` decodes, `findings` and `coverage` interpret (pure)."""
