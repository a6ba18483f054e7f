# SPDX-License-Identifier: Apache-2.0
"""The months that launches are kept in: made ahead and on demand, found, dropped.

A month that cannot be made right now costs nothing: its records go to the default partition, and move when it is made.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timezone

import msgspec
import structlog
from psycopg import sql

from sifgate.errors import StoreError
from sifgate.store.database import Connection, Database

TABLES = ("launches", "launch_bodies")
EARLIEST = 2020
"""Years before this one are clocks that were never set: they stay in the default partition."""
AHEAD = 2
"""Months after the present one that a record may be of; what lies further ahead is a wrong clock."""
_LOCK = 0x6D6F6E746873
"""Key of the advisory lock under which partitions come and go: `months` in ASCII."""
_LOCK_MILLISECONDS = 2_000
_AGAIN_SECONDS = 60.0
_NAME = re.compile(r"launches_(\d{4})_(\d{2})")
_MONTHS = 12
_MAKE = (
    "LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE",
    "CREATE TABLE {part} (LIKE {table} INCLUDING DEFAULTS)",
    "INSERT INTO {part} SELECT * FROM {default} WHERE at >= {start} AND at < {end}",
    "DELETE FROM {default} WHERE at >= {start} AND at < {end}",
    "ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({start}) TO ({end})",
)
_LOG = structlog.get_logger(__name__)


class Month(msgspec.Struct, frozen=True, order=True):
    """One calendar month, UTC."""

    year: int
    number: int

    @property
    def start(self) -> datetime:
        """Return its first instant."""
        return datetime(self.year, self.number, 1, tzinfo=timezone.utc)

    @property
    def end(self) -> datetime:
        """Return the first instant after it."""
        return self.later(1).start

    def later(self, months: int) -> Month:
        """Return the month so many months after this one."""
        count = self.year * _MONTHS + self.number - 1 + months
        return Month(count // _MONTHS, count % _MONTHS + 1)

    def table(self, parent: str) -> str:
        """Return the name of its partition of `parent`."""
        return f"{parent}_{self.year:04d}_{self.number:02d}"


def month_of(moment: datetime) -> Month:
    """Return the month that an instant lies in."""
    utc = moment.astimezone(timezone.utc)
    return Month(utc.year, utc.month)


def present(connection: Connection) -> list[Month]:
    """Return the months that have a partition, oldest first."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'launches'::regclass"
    ).fetchall()
    found = (_NAME.fullmatch(row[0]) for row in rows)
    return sorted(Month(int(match[1]), int(match[2])) for match in found if match)


class Months:
    """Sees to it that partitions are there before records come; usable from several threads and servers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: set[Month] = set()
        self._not_before: dict[Month, float] = {}

    def prepare(self, moments: Iterable[datetime], now: datetime) -> None:
        """Make the months of `now`, of the one after, and of these moments where they are missing and no wrong clock's.

        Raises nothing: what is not there is the default partition's.
        """
        this = month_of(now)
        wanted = {this, this.later(1), *map(month_of, moments)}
        last = this.later(AHEAD)
        missing = {month for month in wanted - self._known if month.year >= EARLIEST and month <= last}
        if not missing:
            return
        with self._lock:
            for month in sorted(missing - self._known):
                if time.monotonic() >= self._not_before.get(month, 0.0):
                    self._make(month)

    def _make(self, month: Month) -> None:
        try:
            with self._database.transaction() as connection:
                made = make(connection, month)
        except StoreError as error:
            self._not_before[month] = time.monotonic() + _AGAIN_SECONDS
            _LOG.warning("launches: no partition yet", month=month.start.date().isoformat(), error=str(error))
        else:
            self._known.add(month)
            if made:
                _LOG.info("launches: partition made", month=month.start.date().isoformat())


def make(connection: Connection, month: Month) -> bool:
    """Make the partitions of a month and move what the default ones hold of it; return whether they were missing.

    Attached, not made in place: that would wait for, and hold up, everybody who reads any launch. Records that come
    meanwhile wait for the default partition, and then go to the new one.
    """
    _alone(connection)
    if month in present(connection):
        return False
    for table in TABLES:
        given: dict[str, sql.Composable] = {
            "table": sql.Identifier(table),
            "default": sql.Identifier(f"{table}_default"),
            "part": sql.Identifier(month.table(table)),
            "start": sql.Literal(month.start),
            "end": sql.Literal(month.end),
        }
        for statement in _MAKE:
            connection.execute(sql.SQL(statement).format(**given))
    return True


def drop(connection: Connection, month: Month) -> bool:
    """Drop a month with all its records; return whether it was there. Waits a bounded time for those who read."""
    _alone(connection)
    if month not in present(connection):
        return False
    connection.execute("LOCK TABLE launches, launch_bodies IN ACCESS EXCLUSIVE MODE")
    for table in TABLES:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(month.table(table))))
    return True


def before(connection: Connection, moment: datetime) -> list[Month]:
    """Return the months that end at or before an instant, oldest first."""
    return [month for month in present(connection) if month.end <= moment]


def _alone(connection: Connection) -> None:
    """Wait until no other server makes or drops partitions; and for nobody's table longer than a moment."""
    connection.execute(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}")
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
