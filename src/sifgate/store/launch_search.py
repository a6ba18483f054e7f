# SPDX-License-Identifier: Apache-2.0
"""Searching launches: newest first, page by page, one month after the other.

Month by month, because then a page of what is frequent reads the newest month only, whatever the planner thinks of the
others; and because what an image or a CVE stands for is looked up once, months that cannot have any are not read.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from sifgate.store import launch_months
from sifgate.store.database import Connection, Database
from sifgate.store.launch_keys import Keys, ground_keys, image_keys
from sifgate.store.launch_months import Month

MOST = 10_000
"""Records in one page."""
PAGE_SECONDS = 1.0
"""After which, at the next border of a month, a page is handed out as it is, with a cursor to go on."""
BEGIN = datetime.min.replace(tzinfo=timezone.utc)
END = datetime.max.replace(tzinfo=timezone.utc)
_TICK = timedelta(microseconds=1)
_COLUMNS = ("user", "user_name"), ("job", "job"), ("account", "account"), ("node", "node"), ("door", "door")
_PLAIN = (*_COLUMNS, ("action", "action"), ("outcome", "outcome"))


class Cursor(msgspec.Struct, frozen=True):
    """The place after which the next page begins: that of the last record handed out."""

    at: datetime
    id: str

    def text(self) -> str:
        """Return it for the client, to whom it means nothing."""
        return base64.urlsafe_b64encode(f"{self.at.isoformat()}|{self.id}".encode()).decode()


def cursor(text: str) -> Cursor:
    """Return the cursor that `Cursor.text` made; raises ValueError for anything else."""
    try:
        at, bar, identifier = base64.b64decode(text, altchars=b"-_", validate=True).decode().partition("|")
        found = Cursor(datetime.fromisoformat(at), identifier)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ValueError("not a cursor of this server") from error
    if not bar or found.at.tzinfo is None or "\0" in identifier:
        raise ValueError("not a cursor of this server")
    return found


class Query(msgspec.Struct, frozen=True):
    """What is looked for; empty members match everything."""

    user: str = ""
    job: int = 0
    account: str = ""
    node: str = ""
    door: str = ""
    action: str = ""
    outcome: str = ""
    image: str = ""
    """Part of the reference, the path or the name."""
    cve: str = ""
    rule: str = ""
    fingerprint: str = ""
    """Its beginning."""
    since: datetime = BEGIN
    until: datetime = END
    """The first instant that is no more meant."""
    limit: int = 100
    after: Cursor | None = None


class Page(msgspec.Struct, frozen=True):
    """Records as they were sent, newest first."""

    bodies: list[bytes]
    cursor: Cursor | None = None
    """None: there are no more."""


class _Window(msgspec.Struct, frozen=True):
    """A stretch of time that lies in one partition."""

    start: datetime
    end: datetime


def find(database: Database, query: Query, *, seconds: float = PAGE_SECONDS) -> Page:
    """Return the next page of matching records; shorter than the limit where `seconds` ran out."""
    limit = min(query.limit, MOST)
    give_up = time.monotonic() + seconds
    found: list[tuple[datetime, str, bytes]] = []
    with database.transaction() as connection:
        span = query.since, query.until
        wanted = {"cve": query.cve, "rule": query.rule, "fingerprint": query.fingerprint}
        images, grounds = image_keys(connection, query.image, span), ground_keys(connection, wanted, span)
        for window in _windows(launch_months.present(connection), query):
            if not all(keys.within(window.start, window.end) for keys in (images, grounds)):
                continue
            found += _look(connection, query, window, [images, grounds], limit + 1 - len(found))
            if len(found) > limit:
                return Page([row[2] for row in found[:limit]], Cursor(*found[limit - 1][:2]))
            if time.monotonic() >= give_up and window.start > query.since:
                return Page([row[2] for row in found], Cursor(window.start, ""))
    return Page([row[2] for row in found])


def _windows(months: Sequence[Month], query: Query) -> Iterator[_Window]:
    """Yield all of the time asked for, newest first, cut where months with a partition begin and end."""
    end = query.until
    if query.after:  # a place without id lies before every record of its instant
        end = min(end, query.after.at + _TICK if query.after.id and query.after.at < END else query.after.at)
    cuts = sorted({BEGIN, END, *(month.start for month in months), *(month.end for month in months)})
    for first, last in zip(reversed(cuts[:-1]), reversed(cuts[1:]), strict=True):
        window = _Window(max(first, query.since), min(last, end))
        if window.start < window.end:
            yield window


def _look(
    connection: Connection, query: Query, window: _Window, keys: Sequence[Keys], limit: int
) -> list[tuple[datetime, str, bytes]]:
    """Return the newest matches within a window."""
    values: dict[str, Any] = {"start": window.start, "end": window.end, "limit": limit}
    conditions = ["at >= %(start)s AND at < %(end)s"]
    for name, column in _PLAIN:
        if value := getattr(query, name):
            conditions.append(f"{column} = %({name})s")
            values[name] = value
    for each in keys:
        conditions += each.conditions
        values |= each.values
    if query.after:
        conditions.append("(at, id) < (%(after_at)s, %(after_id)s)")
        values |= {"after_at": query.after.at, "after_id": query.after.id}
    statement = (
        f"SELECT l.at, l.id, b.body FROM (SELECT at, id FROM launches WHERE {' AND '.join(conditions)}"  # noqa: S608 - our own constants
        " ORDER BY at DESC, id DESC LIMIT %(limit)s) l"
        " JOIN launch_bodies b ON b.id = l.id AND b.at = l.at AND b.at >= %(start)s AND b.at < %(end)s"
        " ORDER BY l.at DESC, l.id DESC"
    )
    # never prepared: the plan is to be made for the values that are asked for
    return connection.execute(statement, values, prepare=False).fetchall()
