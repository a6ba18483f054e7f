# SPDX-License-Identifier: Apache-2.0
"""The embedded default: PostgreSQL, a real Clair, server and agent on one machine."""
