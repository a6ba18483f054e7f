# SPDX-License-Identifier: Apache-2.0
"""Connections to PostgreSQL: a small pool, and a watch for notifications."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from sifgate.errors import StoreError

Connection = psycopg.Connection[tuple[Any, ...]]

CHANNEL = "sifgate_scans"
"""Notifications carry the fingerprint whose scan changed."""
STATEMENT_MILLISECONDS = 15_000


class Database:
    """One database; usable from several threads."""

    def __init__(self, dsn: str, *, connections: int = 12, wait_seconds: float = 5.0) -> None:
        self._dsn = dsn
        self._wait_seconds = wait_seconds
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            dsn,
            min_size=1,
            max_size=connections,
            timeout=wait_seconds,
            open=False,
            check=ConnectionPool.check_connection,
            configure=_configure,
            kwargs={"application_name": "sifgate"},
        )

    def open(self) -> None:
        """Connect; raises StoreError if PostgreSQL does not answer."""
        try:
            self._pool.open(wait=True, timeout=self._wait_seconds)
        except PoolTimeout as error:
            self._pool.close()
            raise StoreError(f"PostgreSQL does not answer: {error}") from error

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection inside a transaction, committed at the end; raises StoreError for what PostgreSQL says."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except (psycopg.Error, PoolTimeout) as error:
            raise StoreError(f"PostgreSQL: {error}") from error

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Give a connection of its own, outside the pool, for what takes long; raises StoreError."""
        try:
            with psycopg.connect(self._dsn, application_name="sifgate export") as connection:
                yield connection
        except psycopg.Error as error:
            raise StoreError(f"PostgreSQL: {error}") from error

    def listener(self) -> Connection:
        """Return a connection of its own that hears of scans that changed; raises StoreError."""
        try:
            connection = psycopg.connect(self._dsn, autocommit=True, application_name="sifgate listener")
            connection.execute(f"LISTEN {CHANNEL}")
        except psycopg.Error as error:
            raise StoreError(f"PostgreSQL: {error}") from error
        return connection


def notify(connection: Connection, fingerprint: str) -> None:
    """Tell all servers, when the transaction commits, that the scan of a fingerprint changed."""
    connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, fingerprint))


def _configure(connection: Connection) -> None:
    """Bound statements; not by `options`, which would override those of the site's connection string."""
    connection.execute(f"SET statement_timeout = {STATEMENT_MILLISECONDS}")
    connection.commit()
