# SPDX-License-Identifier: Apache-2.0
"""All launches of a time as one stream, by a cursor of the database: as much memory for a million as for one."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime

from sifgate.store.database import Database

ORDERS = {"verdict": 'g.verdict COLLATE "C", l.at, l.id', "time": "l.at, l.id"}
"""By verdict: all launches that one verdict judged follow each other, so that whoever judges again loads it once."""
_ROWS = 2_000
_MINUTES = 30


def export(
    database: Database, since: datetime, until: datetime, order: str
) -> Generator[list[bytes], None, None]:
    """Yield the records from `since` up to, not including, `until`, some at a time, in an order of `ORDERS`.

    All of them as they stood at the first one. Raises StoreError.
    """
    statement = (
        "SELECT b.body FROM launches l JOIN launch_bodies b ON b.id = l.id AND b.at = l.at"  # noqa: S608 - our own constants
        " LEFT JOIN launch_grounds g ON g.key = l.grounds"
        " WHERE l.at >= %(since)s AND l.at < %(until)s AND b.at >= %(since)s AND b.at < %(until)s"
        f" ORDER BY {ORDERS[order]}"
    )
    with database.alone() as connection:
        connection.execute(f"SET statement_timeout = '{_MINUTES}min'")
        connection.execute("SET work_mem = '64MB'")
        # two tables joined by two columns are taken for one row, and then looped over: hours instead of seconds
        connection.execute("SET enable_nestloop = off")
        with connection.cursor("export") as cursor:
            cursor.execute(statement, {"since": since, "until": until})
            while rows := cursor.fetchmany(_ROWS):
                yield [bytes(row[0]) for row in rows]
