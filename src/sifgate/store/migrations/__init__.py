# SPDX-License-Identifier: Apache-2.0
"""Alembic's environment: the schema, one step at a time."""
