# SPDX-License-Identifier: Apache-2.0
"""Runs the steps on the connection that `sifgate.store.schema.upgrade` hands over; never reads an ini file."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
