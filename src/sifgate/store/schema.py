# SPDX-License-Identifier: Apache-2.0
"""Bringing a database to the schema of this version, one server at a time."""

from __future__ import annotations

from importlib import resources

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError

from sifgate.errors import StoreError

_LOCK = 0x73696667617465
"""Key of the advisory lock: `sifgate` in ASCII."""


def upgrade(dsn: str, revision: str = "head") -> None:
    """Bring the database to a schema, the newest one; a second server waits for the first; raises StoreError.

    All steps are one transaction, so that a server killed in between leaves the old schema whole.
    """
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=sqlalchemy.pool.NullPool
    )
    settings = Config()
    settings.set_main_option("script_location", str(resources.files("sifgate.store") / "migrations"))
    settings.set_main_option("version_path_separator", "os")
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            settings.attributes["connection"] = connection
            command.upgrade(settings, revision)
    except (sqlalchemy.exc.SQLAlchemyError, psycopg.Error, CommandError) as error:
        raise StoreError(f"the database cannot be brought to this version's schema: {error}") from error
    finally:
        engine.dispose()
