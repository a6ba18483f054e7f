# SPDX-License-Identifier: Apache-2.0
"""Heads of the nodes' audit chains: only ever added; one that contradicts an earlier one is kept apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec

from sifgate.model.head import Countersigned, Head
from sifgate.store.database import Connection, Database

_COLUMNS = "node, chain, seq, head, at, received, key, signature"
MOST = 10_000
"""Heads in one answer."""


class Contradiction(msgspec.Struct, frozen=True):
    """Why a head was refused."""

    reason: str


class Added(msgspec.Struct, frozen=True):
    """A head that stands."""

    signed: Countersigned
    begun_anew: bool = False
    """Whether it is the first of its chain on a node that had another chain before."""


class RefusedHead(msgspec.Struct, frozen=True):
    """A head that contradicted an earlier one."""

    node: str
    chain: str
    seq: int
    head: str
    time: str
    sender: str
    """Holder of the token."""
    received: str
    reason: str


def add(
    database: Database, head: Head, sender: str, sign: Callable[[Countersigned], Countersigned]
) -> Added | Contradiction:
    """Store a head and return it countersigned; one that is there already as it was signed then.

    A head fits its chain if it lies after all others, or is one of them; and if the chain's first sender sent it.
    One at a time for each chain.
    """
    with database.transaction() as connection:
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{head.node}\n{head.chain}",)
        )
        known = _at(connection, head)
        reason = _against(connection, head, known, sender)
        received = datetime.now(timezone.utc)
        if reason:
            _keep_refused(connection, head, sender, received, reason)
            return Contradiction(reason)
        if known is not None:
            return Added(known)
        begun_anew = _begins_anew(connection, head)
        signed = sign(
            Countersigned(
                node=head.node,
                chain=head.chain,
                seq=head.seq,
                head=head.head,
                time=head.time,
                received=_iso(received),
                key="",
                signature="",
            )
        )
        connection.execute(
            f"INSERT INTO heads ({_COLUMNS}, sender) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",  # noqa: S608 - our own constants
            (*msgspec.structs.astuple(signed), sender),
        )
    return Added(signed, begun_anew)


def of(database: Database, node: str, limit: int = MOST) -> list[Countersigned]:
    """Return the newest heads of a node, or of all (empty), oldest of them first."""
    with database.transaction() as connection:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM heads WHERE %(node)s IN ('', node) ORDER BY received DESC, seq DESC"  # noqa: S608 - our own constants
            " LIMIT %(limit)s",
            {"node": node, "limit": min(limit, MOST)},
        ).fetchall()
    return [_signed(row) for row in reversed(rows)]


def refused(database: Database, node: str, limit: int = 1000) -> list[RefusedHead]:
    """Return the newest heads of a node, or of all, that were refused, oldest of them first."""
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT node, chain, seq, head, at, sender, received, reason FROM refused_heads"
            " WHERE %(node)s IN ('', node) ORDER BY number DESC LIMIT %(limit)s",
            {"node": node, "limit": limit},
        ).fetchall()
    names = RefusedHead.__struct_fields__
    return [RefusedHead(**dict(zip(names, _told(row, 6), strict=True))) for row in reversed(rows)]


def note_key(database: Database, key: str, public: str) -> None:
    """Remember a public key: a signature must be checkable when the key has been replaced."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO head_keys (key, public) VALUES (%s, %s) ON CONFLICT DO NOTHING", (key, public)
        )


def public_keys(database: Database) -> list[tuple[str, str]]:
    """Return id and public key of all that ever signed, newest first."""
    with database.transaction() as connection:
        rows = connection.execute("SELECT key, public FROM head_keys ORDER BY first_used DESC").fetchall()
    return [(row[0], row[1]) for row in rows]


def _at(connection: Connection, head: Head) -> Countersigned | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM heads WHERE node = %s AND chain = %s AND seq = %s",  # noqa: S608 - our own constants
        (head.node, head.chain, head.seq),
    ).fetchone()
    return _signed(row) if row else None


def _against(connection: Connection, head: Head, known: Countersigned | None, sender: str) -> str:
    """Return what speaks against a head; empty: nothing."""
    row = connection.execute(
        "SELECT seq, head, sender FROM heads WHERE node = %s AND chain = %s ORDER BY seq DESC LIMIT 1",
        (head.node, head.chain),
    ).fetchone()
    if row is None:
        return ""
    seq, newest, owner = row
    if sender != owner:
        return f"the chain is that of {owner}, and {sender} sends it"
    if known is not None:
        return "" if known.head == head.head else f"record {head.seq} had the hash {known.head}"
    if head.seq < seq:
        return f"the chain had come to record {seq} ({newest}) already"
    return ""


def _begins_anew(connection: Connection, head: Head) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM heads WHERE node = %(node)s AND chain <> %(chain)s)"
        " AND NOT EXISTS (SELECT 1 FROM heads WHERE node = %(node)s AND chain = %(chain)s)",
        {"node": head.node, "chain": head.chain},
    ).fetchone()
    return bool(row and row[0])


def _keep_refused(connection: Connection, head: Head, sender: str, received: datetime, reason: str) -> None:
    """Keep a refused head, once however often it is sent."""
    connection.execute(
        "INSERT INTO refused_heads (node, chain, seq, head, at, sender, received, reason)"
        " SELECT %(node)s, %(chain)s, %(seq)s, %(head)s, %(time)s, %(sender)s, %(received)s, %(reason)s"
        " WHERE NOT EXISTS (SELECT 1 FROM refused_heads WHERE node = %(node)s AND chain = %(chain)s"
        " AND seq = %(seq)s AND head = %(head)s AND sender = %(sender)s)",
        {**msgspec.structs.asdict(head), "sender": sender, "received": received, "reason": reason},
    )


def _signed(row: tuple[Any, ...]) -> Countersigned:
    return Countersigned(**dict(zip(Countersigned.__struct_fields__, _told(row, 5), strict=True)))


def _told(row: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    """Return a row with the instant at `place` as text."""
    return (*row[:place], _iso(row[place]), *row[place + 1 :])


def _iso(moment: datetime) -> str:
    """Return the one text of an instant, to the microsecond: it is signed."""
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
