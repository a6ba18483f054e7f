# SPDX-License-Identifier: Apache-2.0
"""Verdicts: immutable bytes by digest, and the newest one of each fingerprint."""

from __future__ import annotations

import gzip

import msgspec

from sifgate.store.database import Connection, Database, notify


class StoredVerdict(msgspec.Struct, frozen=True):
    """A verdict as it is served: canonical bytes, compressed."""

    digest: str
    generation: str
    body: bytes
    """gzip: what every HTTP client can undo."""


def read(database: Database, fingerprint: str) -> StoredVerdict | None:
    """Return the newest verdict of a fingerprint; None if there is none."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT v.digest, v.generation, v.body FROM latest_verdicts l JOIN verdicts v USING (digest)"
            " WHERE l.fingerprint = %s",
            (fingerprint,),
        ).fetchone()
    return StoredVerdict(digest=row[0], generation=row[1], body=row[2]) if row else None


def by_digest(database: Database, digest: str) -> StoredVerdict | None:
    """Return the verdict with this digest, however old; None if there is none."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT digest, generation, body FROM verdicts WHERE digest = %s", (digest,)
        ).fetchone()
    return StoredVerdict(digest=row[0], generation=row[1], body=row[2]) if row else None


def keep(
    connection: Connection,
    *,
    fingerprint: str,
    generation: str,
    state: str,
    digest: str,
    canonical: bytes,
    cves: list[str],
) -> None:
    """Store a verdict and make it the newest of its fingerprint; the same digest again changes nothing."""
    connection.execute(
        "INSERT INTO verdicts (digest, fingerprint, generation, state, cves, size, body)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING",
        (digest, fingerprint, generation, state, cves, len(canonical), gzip.compress(canonical, 6, mtime=0)),
    )
    connection.execute(
        "INSERT INTO latest_verdicts (fingerprint, digest, generation) VALUES (%s, %s, %s)"
        " ON CONFLICT (fingerprint) DO UPDATE SET digest = EXCLUDED.digest, generation = EXCLUDED.generation",
        (fingerprint, digest, generation),
    )
    notify(connection, fingerprint)


def count(database: Database) -> int:
    """Return how many fingerprints have a verdict."""
    with database.transaction() as connection:
        row = connection.execute("SELECT count(*) FROM latest_verdicts").fetchone()
    return int(row[0]) if row else 0
