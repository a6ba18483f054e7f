# SPDX-License-Identifier: Apache-2.0
"""Launches by month, what they share in tables of their own; policies; heads of the nodes' chains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, cast
from uuid import UUID

import msgspec
import psycopg
from alembic import op

revision = "0003"
down_revision = "0002"

_BATCH = 5_000
_EARLIEST = 2020
_LONGEST = 256

STATEMENTS = (
    "ALTER TABLE launches RENAME TO launches_0001",
    """
    CREATE TABLE launch_images (
        key       uuid PRIMARY KEY,
        image     text NOT NULL,
        path      text NOT NULL,
        name      text NOT NULL,
        first_day date NOT NULL,
        last_day  date NOT NULL,
        touched   date NOT NULL
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE TABLE launch_grounds (
        key         uuid PRIMARY KEY,
        fingerprint text NOT NULL,
        verdict     text NOT NULL,
        policy      text NOT NULL,
        rules       text[] NOT NULL,
        cves        text[] NOT NULL,
        first_day   date NOT NULL,
        last_day    date NOT NULL,
        touched     date NOT NULL
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX launch_grounds_verdict ON launch_grounds (verdict)",
    "CREATE INDEX launch_grounds_policy ON launch_grounds (policy)",
    "CREATE INDEX launch_grounds_fingerprint ON launch_grounds (fingerprint text_pattern_ops)",
    "CREATE INDEX launch_grounds_rules ON launch_grounds USING gin (rules)",
    "CREATE INDEX launch_grounds_cves ON launch_grounds USING gin (cves)",
    """
    CREATE TABLE launches (
        id        text NOT NULL,
        at        timestamptz NOT NULL,
        user_name text NOT NULL,
        uid       bigint NOT NULL,
        job       bigint NOT NULL,
        account   text NOT NULL,
        node      text NOT NULL,
        door      text NOT NULL,
        action    text NOT NULL,
        outcome   text NOT NULL,
        image     uuid NOT NULL,
        grounds   uuid NOT NULL
    ) PARTITION BY RANGE (at)
    """,
    """
    CREATE TABLE launch_bodies (
        id   text NOT NULL,
        at   timestamptz NOT NULL,
        body bytea NOT NULL
    ) PARTITION BY RANGE (at)
    """,
    "CREATE TABLE launches_default PARTITION OF launches DEFAULT",
    "CREATE TABLE launch_bodies_default PARTITION OF launch_bodies DEFAULT",
)
INDEXES = (
    "ALTER TABLE launches ADD CONSTRAINT launches_by_id PRIMARY KEY (id, at)",
    "ALTER TABLE launch_bodies ADD CONSTRAINT launch_bodies_by_id PRIMARY KEY (id, at)",
    "CREATE INDEX launches_by_time ON launches (at)",
    "CREATE INDEX launches_by_user ON launches (user_name, at)",
    "CREATE INDEX launches_by_job ON launches (job, at)",
    "CREATE INDEX launches_by_account ON launches (account, at)",
    "CREATE INDEX launches_by_node ON launches (node, at)",
    "CREATE INDEX launches_by_door ON launches (door, at)",
    "CREATE INDEX launches_by_image ON launches (image, at)",
    "CREATE INDEX launches_by_grounds ON launches (grounds, at)",
    "CREATE INDEX launches_by_action ON launches (action, at) WHERE action <> 'allow'",
    "CREATE INDEX launches_by_outcome ON launches (outcome, at) WHERE outcome <> 'decided'",
)
OTHERS = (
    "DROP TABLE launches_0001",
    """
    CREATE TABLE policies (
        digest    text PRIMARY KEY,
        sources   bytea NOT NULL,
        sender    text NOT NULL,
        stored_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "ALTER TABLE policies ALTER COLUMN sources SET STORAGE EXTERNAL",
    "CREATE INDEX policies_sender ON policies (sender, stored_at)",
    """
    CREATE TABLE heads (
        node      text NOT NULL,
        chain     text NOT NULL,
        seq       bigint NOT NULL,
        head      text NOT NULL,
        at        text NOT NULL,
        sender    text NOT NULL,
        received  timestamptz NOT NULL,
        key       text NOT NULL,
        signature text NOT NULL,
        PRIMARY KEY (node, chain, seq)
    )
    """,
    "CREATE INDEX heads_received ON heads (received)",
    """
    CREATE TABLE refused_heads (
        number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        node     text NOT NULL,
        chain    text NOT NULL,
        seq      bigint NOT NULL,
        head     text NOT NULL,
        at       text NOT NULL,
        sender   text NOT NULL,
        received timestamptz NOT NULL,
        reason   text NOT NULL
    )
    """,
    "CREATE INDEX refused_heads_node ON refused_heads (node, number)",
    """
    CREATE TABLE head_keys (
        key        text PRIMARY KEY,
        public     text NOT NULL,
        first_used timestamptz NOT NULL DEFAULT now()
    )
    """,
)


def upgrade() -> None:
    """Make the tables, move what is there, then index it: an index is quicker made than kept."""
    for statement in STATEMENTS:
        op.execute(statement)
    _move(cast("psycopg.Connection[Any]", op.get_bind().connection.driver_connection))
    for statement in (*INDEXES, *OTHERS):
        op.execute(statement)


def _move(connection: psycopg.Connection[Any]) -> None:
    """Copy all records, each with its bytes unchanged."""
    months = connection.execute(
        "SELECT DISTINCT date_trunc('month', at, 'UTC') FROM launches_0001"
        " WHERE at >= %s AND at < now() + interval '2 months'",
        (datetime(_EARLIEST, 1, 1, tzinfo=timezone.utc),),
    ).fetchall()
    for (start,) in months:
        first = start.astimezone(timezone.utc)
        after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        for table in ("launches", "launch_bodies"):
            connection.execute(
                f"CREATE TABLE {table}_{first:%Y_%m} PARTITION OF {table}"
                f" FOR VALUES FROM ('{first.isoformat()}') TO ('{after.isoformat()}')"
            )
    connection.execute(
        "CREATE TEMP TABLE moved_images (LIKE launch_images) ON COMMIT DROP;"
        "CREATE TEMP TABLE moved_grounds (LIKE launch_grounds) ON COMMIT DROP"
    )
    for rows in _batches(connection):
        _copy_batch(connection, rows)
    for table in ("images", "grounds"):
        connection.execute(f"INSERT INTO launch_{table} SELECT DISTINCT ON (key) * FROM moved_{table}")  # noqa: S608 - our own names
        connection.execute(
            f"UPDATE launch_{table} t SET first_day = d.first_day, last_day = d.last_day FROM"  # noqa: S608 - our own names
            f" (SELECT key, min(first_day) AS first_day, max(last_day) AS last_day FROM moved_{table} GROUP BY key) d"
            " WHERE d.key = t.key"
        )


def _batches(connection: psycopg.Connection[Any]) -> Iterator[list[Any]]:
    """Yield all old rows in order, so many at a time; COPY needs the connection between two of them."""
    place: tuple[Any, ...] = ("",)
    while True:
        rows = connection.execute(
            "SELECT id, at, user_name, uid, job, fingerprint, verdict, cves, body FROM launches_0001"
            " WHERE id > %s ORDER BY id LIMIT %s",
            (*place, _BATCH),
        ).fetchall()
        if not rows:
            return
        yield rows
        place = (rows[-1][0],)


def _copy_batch(connection: psycopg.Connection[Any], rows: Sequence[Any]) -> None:
    today = datetime.now(timezone.utc).date()
    images, grounds, launches = {}, {}, []
    for identifier, at, user, uid, job, fingerprint, verdict, cves, body in rows:
        record = _read(bytes(body))
        day = at.astimezone(timezone.utc).date()
        image = tuple(_word(record, name) for name in ("image", "path", "name"))
        ground = (fingerprint, verdict, _word(record, "policy"), _rules(record), sorted(cves))
        keys = _key(image), _key(ground)
        images[keys[0], day] = image
        grounds[keys[1], day] = ground
        words = [_word(record, name)[:_LONGEST] for name in ("account", "node", "door", "action")]
        outcome = _word(record, "outcome", "decided")[:_LONGEST]
        launches.append((identifier, at, user[:_LONGEST], uid, job, *words, outcome, *keys))
    columns = "id, at, user_name, uid, job, account, node, door, action, outcome, image, grounds"
    _copy(connection, f"launches ({columns})", launches)
    _copy(connection, "launch_bodies (id, at, body)", [(row[0], row[1], row[8]) for row in rows])
    _copy(
        connection, "moved_images", [(key, *value, day, day, today) for (key, day), value in images.items()]
    )
    _copy(
        connection, "moved_grounds", [(key, *value, day, day, today) for (key, day), value in grounds.items()]
    )


def _copy(connection: psycopg.Connection[Any], target: str, rows: Sequence[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _read(body: bytes) -> dict[str, Any]:
    """Return the members of a record; none where the bytes are no record: they are kept all the same."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _word(record: dict[str, Any], name: str, default: str = "") -> str:
    """Return a member as text that PostgreSQL can store."""
    value = record.get(name, default)
    return value.replace("\0", "") if isinstance(value, str) else default


def _rules(record: dict[str, Any]) -> list[str]:
    reasons = record.get("reasons")
    found = (
        [_word(each, "rule")[:_LONGEST] for each in reasons if isinstance(each, dict)]
        if isinstance(reasons, list)
        else []
    )
    return list(dict.fromkeys(found))


def _key(value: object) -> UUID:
    return UUID(bytes=hashlib.sha256(msgspec.msgpack.encode(value)).digest()[:16])
