# SPDX-License-Identifier: Apache-2.0
"""A database of its own for tests of the store, and launches to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from tests.integration.server.site import own_schema

from sifgate.store import schema
from sifgate.store.database import Database
from sifgate.store.launches import Grounds, ImageName, Launch

START = datetime(2026, 3, 30, tzinfo=timezone.utc)
PLAIN = Grounds(fingerprint="f" * 64, verdict="", policy="sha256:p", rules=(), cves=())


@contextmanager
def store(dsn: str) -> Iterator[Database]:
    """Give an open database of this version's schema, in a schema of its own."""
    with own_schema(dsn) as own:
        schema.upgrade(own)
        opened = Database(own)
        opened.open()
        try:
            yield opened
        finally:
            opened.close()


def launch(number: int, **members: Any) -> Launch:
    """Return a launch; the higher the number, the later, by six hours."""
    given: dict[str, Any] = {
        "id": f"{number:026x}",
        "at": START + timedelta(hours=6 * number),
        "user": "alice",
        "uid": 1000,
        "job": 0,
        "account": "",
        "node": "n1",
        "door": "spank",
        "action": "allow",
        "outcome": "decided",
        "image": ImageName("/a/x.sif", "/a/x.sif", ""),
        "grounds": PLAIN,
        "body": b'{"n":%d}' % number,
    }
    return Launch(**{**given, **members})


def number(body: bytes) -> int:
    """Return which launch a body is of."""
    return int(msgspec.json.decode(body)["n"])


def rows(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with database.transaction() as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
