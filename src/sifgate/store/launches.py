# SPDX-License-Identifier: Apache-2.0
"""Audit records of all nodes, to be searched; the evidence itself stays in the nodes' files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sifgate.store.database import Database

MOST = 10_000
"""Records in one answer."""


class Launch(msgspec.Struct, frozen=True):
    """One record and the columns it is found by."""

    id: str
    at: str
    """ISO time."""
    user: str
    uid: int
    job: int
    fingerprint: str
    verdict: str
    cves: tuple[str, ...]
    """Those that the record itself names; all others are found through the verdict."""
    body: bytes


class Query(msgspec.Struct, frozen=True):
    """What is looked for; empty members match everything."""

    user: str = ""
    job: int = 0
    cve: str = ""
    since: str = ""
    limit: int = 100


def store(database: Database, launches: Sequence[Launch]) -> int:
    """Return how many records were new; one that is there already is left as it is (nodes send at least once)."""
    stored = 0
    with database.transaction() as connection:
        for launch in launches:
            cursor = connection.execute(
                "INSERT INTO launches (id, at, user_name, uid, job, fingerprint, verdict, cves, body)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
                (
                    launch.id,
                    launch.at,
                    launch.user,
                    launch.uid,
                    launch.job,
                    launch.fingerprint,
                    launch.verdict,
                    list(launch.cves),
                    launch.body,
                ),
            )
            stored += cursor.rowcount
    return stored


def find(database: Database, query: Query) -> list[bytes]:
    """Return the matching records as they were sent, newest first."""
    conditions, values = ["true"], dict[str, Any](limit=min(query.limit, MOST))
    for name, condition in (
        ("user", "user_name = %(user)s"),
        ("job", "job = %(job)s"),
        ("since", "at >= %(since)s::timestamptz"),
        (
            "cve",
            "(cves @> ARRAY[%(cve)s] OR verdict IN (SELECT digest FROM verdicts WHERE cves @> ARRAY[%(cve)s]))",
        ),
    ):
        if value := getattr(query, name):
            conditions.append(condition)
            values[name] = value
    statement = (
        f"SELECT body FROM launches WHERE {' AND '.join(conditions)} ORDER BY at DESC, id LIMIT %(limit)s"  # noqa: S608  # our own constants
    )
    with database.transaction() as connection:
        rows = connection.execute(statement, values).fetchall()
    return [bytes(row[0]) for row in rows]
