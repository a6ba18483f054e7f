# SPDX-License-Identifier: Apache-2.0
"""Dates that this site keeps: written once, the same for all workers, gone with the verdict that a crash takes."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from testbed import filetrees
from tests.integration.conftest import RunningEngine
from tests.integration.server.conftest import Faulty
from tests.integration.server.site import eventually, own_schema, slim_of

from sifgate.errors import StoreError
from sifgate.model.clocks import Clocks, FixPlace, Sightings
from sifgate.model.finding import Finding
from sifgate.model.image import CoverageFacts, OsRelease
from sifgate.model.verdict import Coverage, Generation
from sifgate.server.advisories import Advisories
from sifgate.server.scanner import Scanned, keep
from sifgate.store import clocks, schema, verdicts
from sifgate.store.database import Database
from sifgate.verdict import digest
from sifgate.verdict.assemble import Scan
from sifgate.verdict.joins import Feeds

pytestmark = pytest.mark.engine
FIX = FixPlace("CVE-2099-1111", "git", "debian 11")
SEEN = Sightings(names=frozenset({"CVE-2099-1111", "GHSA-2222-3333-4444"}), fixes=frozenset({FIX}))
GIT = Finding(vulnerability="CVE-2099-1111", package="git", version="1", manager="dpkg", fixed_version="2")


@pytest.fixture
def dsn(engine: RunningEngine) -> Iterator[str]:
    """An empty schema."""
    with own_schema(engine.dsn) as found:
        yield found


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """A database of this version's schema."""
    schema.upgrade(dsn)
    opened = Database(dsn)
    opened.open()
    try:
        yield opened
    finally:
        opened.close()


def mark(database: Database, fingerprint: str, day: str, seen: Sightings = SEEN) -> Clocks:
    """Mark sightings in a transaction of their own."""
    with database.transaction() as connection:
        return clocks.mark(connection, fingerprint, seen, day)


def dates(found: Clocks) -> tuple[set[str], set[str], set[str]]:
    """Return the days in clocks."""
    return set(found.image.values()), set(found.site.values()), set(found.fixes.values())


def scanned(at: str, *findings: Finding, fingerprint: str = "f" * 64, failure: str | None = None) -> Scanned:
    """Return a scan of an image of Debian 11."""
    facts = CoverageFacts(os_release=OsRelease(id="debian", version_id="11"), managers=("dpkg",))
    coverage = Coverage(distribution="Debian 11", advisories=True, packages={"dpkg": 1})
    advisories = Advisories(Generation(id="g"), operations={}, enrichments={}, feeds=Feeds(), index_state="")
    scan = Scan(fingerprint=fingerprint, facts=facts, coverage=coverage, findings=findings)
    return Scanned(scan=scan, advisories=advisories, at=at, failure=failure)


def stored(database: Database, scan: Scanned) -> bytes:
    """Store a scan's verdict and return its canonical bytes as they are served."""
    with database.transaction() as connection:
        keep(connection, scan)
    found = verdicts.read(database, scan.scan.fingerprint)
    assert found is not None
    return gzip.decompress(found.body)


def test_the_first_sight_is_kept(database: Database) -> None:
    """What is known keeps its day, what is new gets today's; each image has its own, the site the first of all."""
    assert dates(mark(database, "one", "2026-01-01")) == ({"2026-01-01"}, {"2026-01-01"}, {"2026-01-01"})
    more = Sightings(
        names=SEEN.names | {"CVE-2099-2222"}, fixes=SEEN.fixes | {FIX._replace(system="debian 12")}
    )
    found = mark(database, "one", "2026-02-02", more)
    assert found.image == found.site
    assert found.image["CVE-2099-1111"] == "2026-01-01"
    assert found.image["CVE-2099-2222"] == "2026-02-02"
    assert found.fixes == {FIX: "2026-01-01", FIX._replace(system="debian 12"): "2026-02-02"}
    assert dates(mark(database, "two", "2026-03-03")) == ({"2026-03-03"}, {"2026-01-01"}, {"2026-01-01"})
    assert dates(mark(database, "one", "2025-05-05")) == ({"2026-01-01"}, {"2026-01-01"}, {"2026-01-01"})


def test_nothing_seen_is_nothing_kept(database: Database) -> None:
    """A clean image has no clocks."""
    assert mark(database, "one", "2026-01-01", Sightings()) == Clocks()


def test_workers_at_once_agree(database: Database) -> None:
    """Eight workers mark overlapping sets on different days: no deadlock, and each name has one day for all."""
    names = [f"CVE-2099-{number:04d}" for number in range(1000, 1400)]

    def work(number: int) -> Clocks:
        mine = frozenset(names[number * 20 :] if number % 2 else names[: 400 - number * 20])
        fixes = frozenset(FixPlace(name, f"p{name[-1]}", "debian 11") for name in mine)
        return mark(database, f"image-{number % 3}", f"2026-01-0{number + 1}", Sightings(mine, fixes))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    for name in names:
        assert len({each.site[name] for each in found if name in each.site}) == 1
        place = FixPlace(name, f"p{name[-1]}", "debian 11")
        assert len({each.fixes[place] for each in found if place in each.fixes}) == 1
    again = [work(number) for number in range(8)]
    assert [(each.site, each.fixes) for each in again] == [(each.site, each.fixes) for each in found]


def test_two_workers_on_one_image_agree(database: Database) -> None:
    """The second waits until the first has committed, and takes over its day."""
    inside, done = threading.Event(), threading.Event()

    def first() -> Clocks:
        with database.transaction() as connection:
            found = clocks.mark(connection, "one", SEEN, "2026-01-01")
            inside.set()
            assert done.wait(20)
            return found

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert inside.wait(20)
        two = pool.submit(mark, database, "one", "2026-02-02")
        eventually(lambda: waiting(database))
        assert not two.done()
        done.set()
        assert two.result() == one.result()


def waiting(database: Database) -> bool:
    """Return whether some connection waits for another's transaction."""
    with database.transaction() as connection:
        return bool(connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone())


def test_a_crash_leaves_no_day_behind(database: Database) -> None:
    """Clocks and verdict are one transaction: after a fault neither is there, and the next worker's day counts."""

    def crash() -> None:
        with database.transaction() as connection:
            keep(connection, scanned("2026-01-01T00:00:00Z", GIT))
            connection.execute("SELECT 1 / 0")

    with pytest.raises(StoreError):
        crash()
    assert verdicts.read(database, "f" * 64) is None
    found = digest.decode(stored(database, scanned("2026-02-02T00:00:00Z", GIT))).findings[0]
    assert (found.first_seen_image, found.first_seen_site, found.fix_available) == (("2026-02-02",) * 3)


def test_the_same_facts_give_the_same_bytes(database: Database) -> None:
    """A scan that is repeated, by whichever worker, is the same verdict: the day of its first sight does not move."""
    first = stored(database, scanned("2026-01-01T23:59:59Z", GIT))
    later = stored(database, scanned("2026-06-01T00:00:00Z", GIT))
    assert first != later
    assert stored(database, scanned("2026-01-01T23:59:59Z", GIT)) == first
    (found,) = digest.decode(later).findings
    assert (found.first_seen_image, found.first_seen_site, found.fix_available) == (("2026-01-01",) * 3)


def test_a_fix_that_comes_later_has_its_own_day(database: Database) -> None:
    """Seen without a fix in January, with one in March: the fix is of March; in another release it is not there yet."""
    unfixed = msgspec.structs.replace(GIT, fixed_version="")
    (found,) = digest.decode(stored(database, scanned("2026-01-01T00:00:00Z", unfixed))).findings
    assert (found.fix_available, found.first_seen_image) == ("", "2026-01-01")
    (found,) = digest.decode(stored(database, scanned("2026-03-03T00:00:00Z", GIT))).findings
    assert (found.fix_available, found.first_seen_image) == ("2026-03-03", "2026-01-01")


def test_a_failed_scan_moves_no_clock(database: Database) -> None:
    """Clair fails on the image: nothing was seen, and what was seen before keeps its day."""
    stored(database, scanned("2026-01-01T00:00:00Z", GIT))
    failed = digest.decode(stored(database, scanned("2026-02-02T00:00:00Z", failure="")))
    assert (failed.state.value, failed.findings) == ("failed", ())
    (found,) = digest.decode(stored(database, scanned("2026-03-03T00:00:00Z", GIT))).findings
    assert found.first_seen_image == "2026-01-01"


@pytest.mark.parametrize("name", ["x" * 10_000, "a\0b", "\U0001f600", "'; DROP TABLE scans; --", "{}", '"\\'])
def test_hostile_names_do_not_keep_a_verdict_from_being_stored(database: Database, name: str) -> None:
    """Whatever a package or a flaw is called, the verdict is stored with all of its findings."""
    odd = Finding(vulnerability=name, package=name, version="1", manager="dpkg", fixed_version="2")
    body = stored(database, scanned("2026-01-01T00:00:00Z", GIT, odd))
    assert {found.package for found in digest.decode(body).findings} == {"git", name}


def test_dates_reach_the_nodes(faulty: Faulty, tmp_path: Path) -> None:
    """Through a real server: two images, EPSS and ended support joined, today as the first day; both tables renewed."""
    feeds, packages = tmp_path / "feeds", tmp_path / "packages"
    feeds.mkdir()
    packages.mkdir()
    (packages / "security-support-ended.deb11").write_text("git 1 2020-01-01\n")
    head = "#model_version:v1,score_date:2026-01-02T00:00:00Z\ncve,epss,percentile\n"
    (feeds / "epss.csv").write_text(head + "CVE-2025-48384,0.25,0.9\n")
    site = faulty.start("--feeds", str(feeds), "--package-support", str(packages))
    trees = (filetrees.bullseye_min(), filetrees.trixie())
    (slim, other) = (slim_of(tree, tmp_path) for tree in trees)
    first = site.judged(slim)
    (found,) = first.findings
    assert (found.epss, found.support_ended) == (0.25, True)
    assert (first.generation.epss, bool(first.generation.support)) == ("2026-01-02", True)
    assert date.fromisoformat(found.first_seen_site) <= date.fromisoformat(first.scanned_at[:10])
    assert found.first_seen_image == found.first_seen_site == found.fix_available
    assert site.judged(other).findings[0].support_ended is None
    (feeds / "epss.csv").write_text(head + "CVE-2025-48384,0.75,0.99\n")
    eventually(lambda: site.verdict(slim.fingerprint).findings[0].epss == 0.75)
    (packages / "security-support-ended.deb11").write_text("# none yet\n")
    eventually(lambda: site.verdict(slim.fingerprint).findings[0].support_ended is False)
    counted = site.ask("GET", "/v1/status").json()["advisories"]
    assert (counted["epss"], counted["package_support"]) == (1, 1)


OLD = {
    "state": "known",
    "findings": [
        {
            "vulnerability": "CVE-2099-1111",
            "package": "git-man",
            "version": "1",
            "severity": 4,
            "aliases": ["GHSA-2222-3333-4444"],
            "source": "git",
            "manager": "dpkg",
            "fixed_version": "2",
        },
        {"vulnerability": "CVE-2099-2222", "package": "x", "version": "1", "severity": 0, "manager": "go"},
        {"vulnerability": "a\u0000b", "package": "x", "version": "1", "severity": 0, "manager": "go"},
    ],
    "os_release": {"id": "debian", "version_id": "11", "pretty_name": ""},
}


def insert(
    connection: psycopg.Connection[Any], name: str, fingerprint: str, made_at: str, body: bytes
) -> None:
    """Store a verdict as version 0001 did."""
    connection.execute(
        "INSERT INTO verdicts (digest, fingerprint, generation, state, cves, size, body, made_at)"
        " VALUES (%s, %s, 'g', 'known', '{}', 1, %s, %s)",
        (name, fingerprint, body, made_at),
    )


def test_verdicts_of_before_start_the_clocks(dsn: str) -> None:
    """A database of the first version: what its verdicts saw is known since then; a damaged one tells of nothing."""
    old = gzip.compress(json.dumps({"fingerprint": "one", **OLD}).encode())
    schema.upgrade(dsn, "0001")
    with psycopg.connect(dsn) as connection:
        insert(connection, "d1", "one", "2026-01-05T12:00:00Z", old)
        insert(connection, "d2", "one", "2026-01-04T23:30:00-02:00", old)
        insert(connection, "d3", "two", "2026-01-02T00:00:00Z", old)
        insert(connection, "d4", "three", "2025-01-01T00:00:00Z", old[:40])
        insert(connection, "d5", "four", "2025-01-01T00:00:00Z", b"")
        insert(connection, "d6", "five", "2025-01-01T00:00:00Z", gzip.compress(b'{"findings": 7}'))
        connection.execute("INSERT INTO latest_verdicts VALUES ('one', 'd1', 'g')")
    schema.upgrade(dsn)
    database = Database(dsn)
    database.open()
    try:
        names = frozenset({"CVE-2099-1111", "GHSA-2222-3333-4444", "CVE-2099-2222"})
        seen = Sightings(names=names, fixes=SEEN.fixes)
        assert dates(mark(database, "one", "2027-01-01", seen)) == (
            {"2026-01-05"},
            {"2026-01-02"},
            {"2026-01-02"},
        )
        assert dates(mark(database, "two", "2027-01-01", seen))[0] == {"2026-01-02"}
        assert dates(mark(database, "three", "2027-01-01", seen))[0] == {"2027-01-01"}
        kept = verdicts.read(database, "one")
    finally:
        database.close()
    assert kept is not None
    assert kept.body == old
