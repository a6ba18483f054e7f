# SPDX-License-Identifier: Apache-2.0
"""What may be forgotten: old months, then verdicts and policies that no record names any more, then thinned heads.

A verdict or a policy is kept as long as any record names it, however old it is: that record can be judged again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sifgate.store import launch_months
from sifgate.store.database import Connection, Database

REST_DAYS = 2
"""What was stored so lately is left alone: a server remembers for a day what need not be stored again."""
UNNAMED_DAYS = 90
"""Days that a verdict or policy is kept without a record: nodes hold verdicts for weeks before they decide by them."""
HEAD_DAYS = 30
"""Days after which of the heads of a chain only the last one of each day is kept."""
_MINUTES = 30


class Pruned(msgspec.Struct, frozen=True):
    """How much was forgotten."""

    months: tuple[str, ...] = ()
    """Partitions that were dropped, as `2025-11`."""
    strays: int = 0
    """Old records outside of any month."""
    names: int = 0
    grounds: int = 0
    verdicts: int = 0
    policies: int = 0
    heads: int = 0


def prune(database: Database, keep_since: datetime, now: datetime) -> Pruned:
    """Drop the months that ended before `keep_since` and all that only they named; return how much that was.

    The month of `keep_since` stays whole. Safe beside servers that store. Raises StoreError; run again, it goes on.
    """
    months = []
    with database.transaction() as connection:
        old = launch_months.before(connection, keep_since)
    for month in old:
        with database.transaction() as connection:
            if launch_months.drop(connection, month):
                months.append(f"{month.year:04d}-{month.number:02d}")
    first = launch_months.month_of(keep_since).start
    with database.transaction() as connection:
        connection.execute(f"SET LOCAL statement_timeout = '{_MINUTES}min'")
        return Pruned(
            months=tuple(months),
            strays=_strays(connection, first),
            names=_shared(connection, "launch_images", "image", now),
            grounds=_shared(connection, "launch_grounds", "grounds", now),
            verdicts=_verdicts(connection, now),
            policies=_policies(connection, now),
            heads=_heads(connection, now),
        )


def _strays(connection: Connection, first: datetime) -> int:
    """Remove records of the default partitions that are older than what is kept."""
    removed = connection.execute("DELETE FROM launches_default WHERE at < %s", (first,)).rowcount
    connection.execute("DELETE FROM launch_bodies_default WHERE at < %s", (first,))
    return removed


def _shared(connection: Connection, table: str, column: str, now: datetime) -> int:
    """Remove names or grounds that no launch has; those of the last days are not even looked at."""
    return connection.execute(
        f"DELETE FROM {table} t WHERE touched < %s"  # noqa: S608 - our own constants
        f" AND NOT EXISTS (SELECT 1 FROM launches l WHERE l.{column} = t.key)",
        ((now - timedelta(days=REST_DAYS)).date(),),
    ).rowcount


def _verdicts(connection: Connection, now: datetime) -> int:
    """Remove verdicts that no grounds name and that are no fingerprint's newest."""
    return connection.execute(
        "DELETE FROM verdicts v WHERE made_at < %s"
        " AND NOT EXISTS (SELECT 1 FROM latest_verdicts n WHERE n.digest = v.digest)"
        " AND NOT EXISTS (SELECT 1 FROM launch_grounds g WHERE g.verdict = v.digest)",
        (now - timedelta(days=UNNAMED_DAYS),),
    ).rowcount


def _policies(connection: Connection, now: datetime) -> int:
    """Remove policies that no grounds name."""
    return connection.execute(
        "DELETE FROM policies p WHERE stored_at < %s"
        " AND NOT EXISTS (SELECT 1 FROM launch_grounds g WHERE g.policy = p.digest)",
        (now - timedelta(days=UNNAMED_DAYS),),
    ).rowcount


def _heads(connection: Connection, now: datetime) -> int:
    """Remove old heads except the last of each chain and day, and so never a chain's newest."""
    return connection.execute(
        "DELETE FROM heads h WHERE received < %s AND EXISTS (SELECT 1 FROM heads n WHERE n.node = h.node"
        " AND n.chain = h.chain AND n.seq > h.seq"
        " AND (n.received AT TIME ZONE 'UTC')::date = (h.received AT TIME ZONE 'UTC')::date)",
        (now - timedelta(days=HEAD_DAYS),),
    ).rowcount
