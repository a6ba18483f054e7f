# SPDX-License-Identifier: Apache-2.0
"""Audit records of all nodes, to be searched; the evidence itself stays in the nodes' files.

A record is one narrow row of what it is found by (so that even reading a whole month of them is quick), and its bytes
beside it. What many share stands once: the image as it was named, and the grounds (verdict, policy, rules, CVEs).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timezone
from typing import TypeVar
from uuid import UUID

import msgspec

from sifgate.store.database import Connection, Database
from sifgate.store.launch_months import Months

_REMEMBERED = 50_000


class ImageName(msgspec.Struct, frozen=True):
    """An image as launches named it."""

    image: str
    """As typed."""
    path: str
    name: str

    @property
    def key(self) -> UUID:
        """Return its address."""
        return _key(self)


class Grounds(msgspec.Struct, frozen=True):
    """What decisions rest on."""

    fingerprint: str
    verdict: str
    policy: str
    rules: tuple[str, ...]
    cves: tuple[str, ...]
    """Those that the record itself names; all others are found through the verdict."""

    @property
    def key(self) -> UUID:
        """Return its address."""
        return _key(self)


class Launch(msgspec.Struct, frozen=True):
    """One record and what it is found by."""

    id: str
    at: datetime
    user: str
    uid: int
    job: int
    account: str
    node: str
    door: str
    action: str
    outcome: str
    image: ImageName
    grounds: Grounds
    body: bytes


S = TypeVar("S", ImageName, Grounds)
Days = tuple[date, date]
Shared = dict[UUID, tuple[S, Days]]


class Launches:
    """Takes records in; one of these in a server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._months = Months(database)
        self._lock = threading.Lock()
        self._today = date.min
        self._fresh: dict[UUID, Days] = {}
        """Names and grounds that are known to be stored, touched today, and to cover these days."""

    def prepare(self, now: datetime) -> None:
        """Make the partitions of this month and the next."""
        self._months.prepare((), now)

    def store(self, launches: Sequence[Launch]) -> int:
        """Return how many records were new; one that is there already is left as it is (nodes send at least once)."""
        batch = list({(launch.id, launch.at): launch for launch in launches}.values())
        batch.sort(
            key=lambda launch: (launch.at, launch.id)
        )  # one order for all, or two servers wait for each other
        now = datetime.now(timezone.utc)
        self._months.prepare((launch.at for launch in batch), now)
        today = now.date()
        images = self._unknown(_shared((each.image, each.at) for each in batch), today)
        grounds = self._unknown(_shared((each.grounds, each.at) for each in batch), today)
        with self._database.transaction() as connection:
            _keep_images(connection, images, today)
            _keep_grounds(connection, grounds, today)
            stored = _insert(connection, batch)
        self._remember(images, today)
        self._remember(grounds, today)
        return stored

    def _unknown(self, wanted: Shared[S], today: date) -> Shared[S]:
        with self._lock:
            if today != self._today:
                return wanted
            return {
                key: found for key, found in wanted.items() if not _covers(self._fresh.get(key), found[1])
            }

    def _remember(self, stored: Shared[S], today: date) -> None:
        """Note what need not be stored again today; only now, for a transaction that failed has stored nothing."""
        with self._lock:
            if today != self._today or len(self._fresh) > _REMEMBERED:
                self._today, self._fresh = today, {}
            for key, (_, days) in stored.items():
                self._fresh[key] = _joined(self._fresh.get(key), days)


def _shared(values: Iterable[tuple[S, datetime]]) -> Shared[S]:
    """Return each value once, by its key, with the first and the last day of the launches that share it."""
    days: dict[S, Days] = {}
    for value, at in values:
        day = at.astimezone(timezone.utc).date()
        days[value] = _joined(days.get(value), (day, day))
    return {value.key: (value, span) for value, span in days.items()}


def _joined(known: Days | None, more: Days) -> Days:
    return more if known is None else (min(known[0], more[0]), max(known[1], more[1]))


def _covers(known: Days | None, days: Days) -> bool:
    return known is not None and known[0] <= days[0] and days[1] <= known[1]


def _key(value: msgspec.Struct) -> UUID:
    """Return 128 bits of the SHA-256 of a value: nobody can find two values of one key."""
    return UUID(bytes=hashlib.sha256(msgspec.msgpack.encode(msgspec.structs.astuple(value))).digest()[:16])


_DAYS = (
    " ON CONFLICT (key) DO UPDATE SET touched = EXCLUDED.touched, first_day = least(t.first_day, EXCLUDED.first_day),"
    " last_day = greatest(t.last_day, EXCLUDED.last_day) WHERE t.touched < EXCLUDED.touched"
    " OR t.first_day > EXCLUDED.first_day OR t.last_day < EXCLUDED.last_day"
)
_IMAGES = f"INSERT INTO launch_images AS t VALUES (%s, %s, %s, %s, %s, %s, %s){_DAYS}"  # noqa: S608 - our own constants
_GROUNDS = f"INSERT INTO launch_grounds AS t VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s){_DAYS}"  # noqa: S608 - our own constants
"""Columns as migration 0003 made them, in its order."""


def _keep_images(connection: Connection, images: Shared[ImageName], today: date) -> None:
    rows = [(key, each.image, each.path, each.name, *days, today) for key, (each, days) in _in_order(images)]
    connection.cursor().executemany(_IMAGES, rows)


def _keep_grounds(connection: Connection, grounds: Shared[Grounds], today: date) -> None:
    rows = [
        (key, each.fingerprint, each.verdict, each.policy, list(each.rules), list(each.cves), *days, today)
        for key, (each, days) in _in_order(grounds)
    ]
    connection.cursor().executemany(_GROUNDS, rows)


def _in_order(shared: Shared[S]) -> list[tuple[UUID, tuple[S, Days]]]:
    """Return them in the order in which all servers lock these rows."""
    return sorted(shared.items(), key=lambda item: item[0])


_INSERT = """
    WITH given AS (
        SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::int8[], %s::int8[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::uuid[], %s::uuid[], %s::bytea[])
        AS g (id, at, user_name, uid, job, account, node, door, action, outcome, image, grounds, body)
    ), fresh AS (
        INSERT INTO launches (id, at, user_name, uid, job, account, node, door, action, outcome, image, grounds)
        SELECT id, at, user_name, uid, job, account, node, door, action, outcome, image, grounds FROM given
        ON CONFLICT (id, at) DO NOTHING RETURNING id, at
    )
    INSERT INTO launch_bodies (id, at, body) SELECT id, at, body FROM given JOIN fresh USING (id, at)
    ON CONFLICT (id, at) DO NOTHING
"""


def _insert(connection: Connection, batch: Sequence[Launch]) -> int:
    """Insert rows and bodies in one statement; return how many were new."""
    rows = [
        (each.id, each.at, each.user, each.uid, each.job, each.account, each.node, each.door, each.action,
         each.outcome, each.image.key, each.grounds.key, each.body)
        for each in batch
    ]  # fmt: skip
    if not rows:
        return 0
    return connection.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)]).rowcount
