# SPDX-License-Identifier: Apache-2.0
"""One step, one answer: the first decision for (job, step, fingerprint, policy) is kept for all nodes."""

from __future__ import annotations

import msgspec

from sifgate.store.database import Database


class StepKey(msgspec.Struct, frozen=True):
    """What a decision is kept under."""

    job: str
    step: str
    fingerprint: str
    policy_digest: str


def keep_first(database: Database, key: StepKey, decision: bytes) -> bytes:
    """Return the decision that was kept first for `key`: this one, or that of a node that was faster."""
    place = (key.job, key.step, key.fingerprint, key.policy_digest)
    with database.transaction() as connection:
        # DO UPDATE to itself: DO NOTHING would return no row, and a later SELECT could miss a concurrent commit
        row = connection.execute(
            "INSERT INTO steps AS s (job, step, fingerprint, policy_digest, decision) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (job, step, fingerprint, policy_digest) DO UPDATE SET decision = s.decision"
            " RETURNING decision",
            (*place, decision),
        ).fetchone()
    return decision if row is None else bytes(row[0])


def forget(database: Database, *, days: int) -> int:
    """Return how many decisions of long-ended steps were removed: Slurm uses job numbers again."""
    with database.transaction() as connection:
        cursor = connection.execute(
            "DELETE FROM steps WHERE kept_at < now() - make_interval(days => %s)", (days,)
        )
    return cursor.rowcount
