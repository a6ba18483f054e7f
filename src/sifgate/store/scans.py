# SPDX-License-Identifier: Apache-2.0
"""The scan queue: one row for each fingerprint, so that however many ask there is one scan (docs/decisions/).

::

    queued ──claim──► running ──finish──► done ──enqueue (new generation)──► queued
      ▲                 │ ├─ give_back (outage, busy) ──► queued
      │                 │ ├─ want ──► wanted (its layer must be uploaded again)
      │                 │ └─ blame (Clair died of it, again) ──► quarantined
      └── lease runs out (the worker was killed) ─────────────────┘ release
"""

from __future__ import annotations

import msgspec

from sifgate.store.database import Connection, Database, notify

LEASE_SECONDS = 30
SUSPECT_SECONDS = 30
"""How long a suspect waits for the others; then nothing is begun until it has run."""
_CLAIM_LOCK = 0x7363616E


class Job(msgspec.Struct, frozen=True):
    """One scan that this worker holds."""

    fingerprint: str
    rematch: bool
    """Whether a match alone may be enough: the layer was indexed before."""
    attempts: int
    """Counting this one."""
    deaths: int
    """How often Clair died with this fingerprint in flight."""


class Progress(msgspec.Struct, frozen=True):
    """Where the scan of a fingerprint stands."""

    state: str
    outage: bool = False
    """Whether the last try ended because Clair was unavailable."""

    @property
    def open(self) -> bool:
        """Return whether a verdict will come without anybody's doing."""
        return self.state in {"queued", "running"}


def enqueue(connection: Connection, fingerprint: str, *, rematch: bool) -> bool:
    """Return whether a scan was queued; one that is open or quarantined is left as it is."""
    row = connection.execute(
        "INSERT INTO scans AS s (fingerprint, state, rematch) VALUES (%(fingerprint)s, 'queued', %(rematch)s)"
        " ON CONFLICT (fingerprint) DO UPDATE SET state = 'queued', rematch = EXCLUDED.rematch, attempts = 0,"
        " outage = false, not_before = now(), queued_at = now(), changed_at = now()"
        " WHERE s.state IN ('done', 'wanted') RETURNING 1",
        {"fingerprint": fingerprint, "rematch": rematch},
    ).fetchone()
    if row is not None:
        notify(connection, fingerprint)
    return row is not None


def claim(database: Database, worker: str) -> Job | None:
    """Return the next scan for `worker`, None if there is none.

    First scans go before re-matches. A suspect (Clair died with it in flight) runs alone, so that a second death
    speaks of it and of nobody else. A scan whose worker was killed is taken over when its lease has run out.
    """
    with database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CLAIM_LOCK,))
        row = connection.execute(
            """
            WITH busy AS (
                SELECT count(*) AS n, coalesce(max(deaths), 0) AS worst
                FROM scans WHERE state = 'running' AND lease_until > now()
            ), patient AS (
                SELECT count(*) AS n FROM scans
                WHERE state = 'queued' AND deaths > 0 AND not_before < now() - make_interval(secs => %(patience)s)
            ), next AS (
                SELECT fingerprint FROM scans, busy, patient
                WHERE ((state = 'queued' AND not_before <= now()) OR (state = 'running' AND lease_until <= now()))
                  AND busy.worst = 0 AND ((deaths = 0 AND patient.n = 0) OR (deaths > 0 AND busy.n = 0))
                ORDER BY rematch, queued_at, fingerprint LIMIT 1
                FOR UPDATE OF scans SKIP LOCKED
            )
            UPDATE scans SET state = 'running', worker = %(worker)s, attempts = attempts + 1, changed_at = now(),
                lease_until = now() + make_interval(secs => %(lease)s)
            FROM next WHERE scans.fingerprint = next.fingerprint
            RETURNING scans.fingerprint, rematch, attempts, deaths
            """,
            {"worker": worker, "lease": LEASE_SECONDS, "patience": SUSPECT_SECONDS},
        ).fetchone()
    return Job(*row) if row else None


def extend(database: Database, job: Job, worker: str) -> bool:
    """Return whether the scan is still this worker's, its lease made longer."""
    with database.transaction() as connection:
        row = connection.execute(
            "UPDATE scans SET lease_until = now() + make_interval(secs => %s)"
            " WHERE fingerprint = %s AND worker = %s AND state = 'running' RETURNING 1",
            (LEASE_SECONDS, job.fingerprint, worker),
        ).fetchone()
    return row is not None


def settle(
    connection: Connection,
    job: Job,
    worker: str,
    *,
    state: str,
    deaths: int = 0,
    pause: float = 0.0,
    outage: bool = False,
    forgiven: bool = False,
) -> bool:
    """Return whether the scan was this worker's to end; it then is in `state`, and all who wait are told.

    `queued` gives it back for `pause` seconds; `forgiven`, as an outage or a death, does not count as an attempt.
    """
    uncounted = 1 if forgiven or outage or deaths > job.deaths else 0
    row = connection.execute(
        "UPDATE scans SET state = %(state)s, worker = '', deaths = %(deaths)s, outage = %(outage)s, changed_at = now(),"
        " attempts = attempts - %(uncounted)s, not_before = now() + make_interval(secs => %(pause)s)"
        " WHERE fingerprint = %(fingerprint)s AND worker = %(worker)s AND state = 'running' RETURNING 1",
        {
            "state": state,
            "deaths": deaths,
            "outage": outage,
            "uncounted": uncounted,
            "pause": pause,
            "fingerprint": job.fingerprint,
            "worker": worker,
        },
    ).fetchone()
    if row is not None:
        notify(connection, job.fingerprint)
    return row is not None


def progress(database: Database, fingerprint: str) -> Progress | None:
    """Return where the scan of a fingerprint stands; None if there never was one."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT state, outage FROM scans WHERE fingerprint = %s", (fingerprint,)
        ).fetchone()
    return Progress(state=row[0], outage=row[1]) if row else None


def release(database: Database, *, most_deaths: int, rested_seconds: float) -> int:
    """Return how many quarantined scans get another try, alone: those with few deaths and a long rest behind them."""
    with database.transaction() as connection:
        cursor = connection.execute(
            "UPDATE scans SET state = 'queued', attempts = 0, not_before = now(), queued_at = now(), changed_at = now()"
            " WHERE state = 'quarantined' AND deaths < %s AND changed_at < now() - make_interval(secs => %s)",
            (most_deaths, rested_seconds),
        )
    return cursor.rowcount


def hurry(database: Database) -> None:
    """Let scans that rest because of an outage run now: Clair is back."""
    with database.transaction() as connection:
        connection.execute(
            "UPDATE scans SET not_before = now(), outage = false WHERE state = 'queued' AND outage"
        )


def counts(database: Database) -> dict[str, int]:
    """Return how many scans are in each state."""
    with database.transaction() as connection:
        rows = connection.execute("SELECT state, count(*) FROM scans GROUP BY state").fetchall()
    return {state: int(number) for state, number in rows}
