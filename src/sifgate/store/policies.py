# SPDX-License-Identifier: Apache-2.0
"""Policies that decisions were made with: all files of one, by the digest of what they mean; never changed."""

from __future__ import annotations

import zstandard

from sifgate.errors import StoreError
from sifgate.store.database import Database

LARGEST = 64 << 20
"""Bytes of one policy's sources, decompressed."""
_LEVEL = 6


def keep(database: Database, digest: str, sources: bytes, sender: str) -> bool:
    """Store the sources of a policy; return whether they were new. Those that are there stay as they are."""
    with database.transaction() as connection:
        cursor = connection.execute(
            "INSERT INTO policies (digest, sources, sender) VALUES (%s, %s, %s) ON CONFLICT (digest) DO NOTHING",
            (digest, zstandard.compress(sources, _LEVEL), sender),
        )
    return cursor.rowcount == 1


def read(database: Database, digest: str) -> bytes | None:
    """Return the sources of a policy; None if there is none of this digest."""
    with database.transaction() as connection:
        row = connection.execute("SELECT sources FROM policies WHERE digest = %s", (digest,)).fetchone()
    try:
        return zstandard.decompress(row[0], max_output_size=LARGEST) if row else None
    except zstandard.ZstdError as error:
        raise StoreError(f"policy {digest} is damaged: {error}") from error


def has(database: Database, digest: str) -> bool:
    """Return whether there is a policy of this digest."""
    with database.transaction() as connection:
        return (
            connection.execute("SELECT 1 FROM policies WHERE digest = %s", (digest,)).fetchone() is not None
        )


def lately(database: Database, sender: str) -> int:
    """Return how many policies the holder of a token has stored within a day."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT count(*) FROM policies WHERE sender = %s AND stored_at > now() - interval '1 day'",
            (sender,),
        ).fetchone()
    return int(row[0]) if row else 0
