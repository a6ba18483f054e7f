# SPDX-License-Identifier: Apache-2.0
"""Queries over ten million audit records in monthly partitions, warm and after a restart with nothing in memory."""

from __future__ import annotations

import os
import secrets
import statistics
import time
from datetime import datetime, timedelta, timezone

import msgspec

from bench.audit_database import OwnDatabase, running
from bench.audit_rows import RARE_RULE, Site, load
from bench.figure import Figure
from sifgate.store.database import Database
from sifgate.store.launch_export import export
from sifgate.store.launch_months import Month, month_of
from sifgate.store.launch_search import Query, find
from sifgate.store.launches import Grounds, ImageName, Launch, Launches

RECORDS = int(os.environ.get("SIFGATE_BENCH_RECORDS", "10000000"))
SECONDS = 2.0
"""What a query may take."""
WARM_LAPS = 3
_DEEP = 20
_BATCH = 500
_BATCHES = 40


def measure() -> list[Figure]:
    """Load the records into a PostgreSQL of the bench's own and ask for them in every way there is."""
    now = datetime.now(timezone.utc)
    site = Site(records=RECORDS, now=now)
    with running() as own:
        started = time.perf_counter()
        load(own.dsn, site)
        figures = [
            Figure(
                "load of the records",
                time.perf_counter() - started,
                "s",
                note=f"{RECORDS} by COPY, then indexes",
            ),
            Figure("database on disk", own.size() / 2**30, "GiB"),
        ]
        return figures + _queries(own, shapes(site)) + _streams(own, now)


def shapes(site: Site) -> dict[str, Query]:
    """Return the questions, by name; frequent, rare and absent values of each filter, and combinations."""
    day = site.now - timedelta(days=200)
    return {
        "no filter": Query(),
        "user, frequent": Query(user="u0"),
        "user, rare": Query(user="u1999"),
        "user, absent": Query(user="nobody-of-that-name"),
        "job": Query(job=site.records // 10),
        "account": Query(account="acct7"),
        "node": Query(node="n123"),
        "door, rare": Query(door="enroot-hook"),
        "image, part of many names": Query(image="/apps/"),
        "image, one": Query(image="image-2999.sif"),
        "image, absent": Query(image="no-such-image"),
        "CVE, frequent": Query(cve="CVE-2020-10000"),
        "CVE, in one verdict of twenty": Query(cve="CVE-2020-10002"),
        "CVE, in one verdict": Query(cve="CVE-2020-10003"),
        "CVE, absent": Query(cve="CVE-1999-0001"),
        "rule, frequent": Query(rule="critical-fixable"),
        "rule, rare": Query(rule=RARE_RULE),
        "outcome": Query(outcome="would_have_blocked"),
        "action": Query(action="block"),
        "a day": Query(since=day, until=day + timedelta(days=1), limit=1000),
        "user and block": Query(user="u0", action="block"),
        "user and account that never met": Query(user="u0", account="acct7"),
        "user, account and CVE, frequent": Query(user="u0", account="acct0", cve="CVE-2020-10000"),
        "user and CVE, rare": Query(user="u1999", cve="CVE-2020-10003"),
        "user and rule, rare": Query(user="u3", rule=RARE_RULE),
        "image and outcome": Query(image="image-0.sif", outcome="would_have_blocked"),
        "CVE, rule and a month": Query(
            cve="CVE-2020-10000", rule="kev-fixable", since=day, until=day + timedelta(days=30)
        ),
        "node, door and action": Query(node="n123", door="wrapper", action="block"),
        "account, door, action and CVE": Query(
            account="acct7", door="wrapper", cve="CVE-2020-10002", action="block"
        ),
        "everything absent": Query(door="enroot-hook", action="allow", outcome="decided", account="acct7"),
    }


def _queries(own: OwnDatabase, questions: dict[str, Query]) -> list[Figure]:
    cold, first, warm = {}, {}, {}
    for name, query in questions.items():
        own.restart()
        with own.database() as database:
            cold[name], first[name] = _pages(database, query)
    with own.database() as database:
        for name, query in questions.items():
            find(database, query)
            warm[name] = statistics.median(_seconds(database, query) for _ in range(WARM_LAPS))
        deep = _deep(database)
    worst = [
        Figure(
            f"slowest query, {state}",
            max(found.values()),
            "s",
            SECONDS,
            note=max(found, key=found.__getitem__),
        )
        for state, found in (("warm", warm), ("first answer after a restart, nothing in memory", first))
    ]
    each = [
        Figure(
            f"  {name}",
            warm[name] * 1000,
            "ms",
            note=f"after a restart {first[name] * 1000:.0f} ms, whole page {cold[name] * 1000:.0f} ms",
        )
        for name in questions
    ]
    return [*worst, *each, Figure(f"  page {_DEEP} of user, frequent", deep * 1000, "ms")]


def _pages(database: Database, query: Query) -> tuple[float, float]:
    """Return how long it takes until a page is full or all is read, and until the first answer."""
    started, left, answers = time.perf_counter(), query.limit, []
    while left > 0:
        page = find(database, query)
        answers.append(time.perf_counter() - started)
        left -= len(page.bodies)
        if page.cursor is None:
            break
        query = msgspec.structs.replace(query, after=page.cursor)
    return answers[-1], answers[0]


def _seconds(database: Database, query: Query) -> float:
    started = time.perf_counter()
    find(database, query, seconds=60.0)
    return time.perf_counter() - started


def _deep(database: Database) -> float:
    """Return how long a late page takes."""
    query, taken = Query(user="u0"), 0.0
    for _ in range(_DEEP):
        started = time.perf_counter()
        page = find(database, query)
        taken = time.perf_counter() - started
        query = Query(user="u0", after=page.cursor)
    return taken


def _streams(own: OwnDatabase, now: datetime) -> list[Figure]:
    """Measure an export of a whole month, and how fast records come in beside all the others."""
    month: Month = month_of(now).later(-2)
    with own.database() as database:
        started = time.perf_counter()
        count = sum(len(piece) for piece in export(database, month.start, month.end, "verdict"))
        seconds = time.perf_counter() - started
        return [
            Figure("export of a month by verdict", seconds, "s", note=f"{count} records"),
            Figure("records stored", _stored(database, now), "1/s", note=f"batches of {_BATCH}, one client"),
        ]


def _stored(database: Database, now: datetime) -> float:
    intake = Launches(database)
    batches = [
        [_launch(now + timedelta(milliseconds=number * _BATCH + each)) for each in range(_BATCH)]
        for number in range(_BATCHES)
    ]
    intake.prepare(now)
    started = time.perf_counter()
    stored = sum(intake.store(batch) for batch in batches)
    return stored / (time.perf_counter() - started)


def _launch(at: datetime) -> Launch:
    number = at.microsecond // 1000
    return Launch(
        id=secrets.token_hex(13),
        at=at,
        user=f"u{number % 50}",
        uid=1000,
        job=number,
        account=f"acct{number % 20}",
        node=f"n{number % 100}",
        door="spank",
        action="allow",
        outcome="decided",
        image=ImageName(f"/apps/fresh-{number % 200}.sif", f"/apps/fresh-{number % 200}.sif", ""),
        grounds=Grounds(
            f"{number % 300:064x}", f"sha256:{number % 300:064x}", "sha256:p", ("kev-fixable",), ()
        ),
        body=secrets.token_hex(450).encode(),
    )
