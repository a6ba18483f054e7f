# SPDX-License-Identifier: Apache-2.0
"""The database: its schema, the queue's promises, and what happens when connections break."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from sifgate.model.image import CoverageFacts
from sifgate.store import scans, schema, verdicts
from sifgate.store.database import Database
from sifgate.store.layers import Layer, Layers
from sifgate.verdict import digest

pytestmark = pytest.mark.engine
PARTS = re.compile(r"launch(es|_bodies)_(default|\d{4}_\d{2})")
TABLES = {
    "alembic_version", "fix_sightings", "head_keys", "heads", "image_sightings", "latest_verdicts", "launch_bodies",
    "launch_grounds", "launch_images", "launches", "layers", "policies", "refused_heads", "scans", "site_sightings",
    "steps", "verdicts",
}  # fmt: skip


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


def execute(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with database.transaction() as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def enqueue(database: Database, *names: str, rematch: bool = False) -> None:
    """Queue scans, in this order."""
    for name in names:
        with database.transaction() as connection:
            assert scans.enqueue(connection, name, rematch=rematch)


def settle(database: Database, job: scans.Job | None, worker: str, **options: Any) -> bool:
    """End a claimed scan."""
    assert job is not None
    with database.transaction() as connection:
        return scans.settle(connection, job, worker, **options)


def claimed(database: Database, worker: str = "w") -> str:
    """Return the fingerprint of the next scan; empty if there is none."""
    job = scans.claim(database, worker)
    return job.fingerprint if job else ""


def test_four_servers_upgrade_an_empty_database_at_once(dsn: str) -> None:
    """Each waits for the other; all tables are there; once more changes nothing."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(schema.upgrade, [dsn] * 4))
    schema.upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchall()
    assert {row[0] for row in rows if not PARTS.fullmatch(row[0])} == TABLES


def test_a_database_of_a_newer_version_is_refused(dsn: str) -> None:
    """An old server does not touch a schema that it does not know."""
    schema.upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="9999"):
        schema.upgrade(dsn)


def test_no_database_is_an_error_of_ours(tmp_path: Path) -> None:
    """Nobody at the socket: StoreError from both doors, in bounded time."""
    nowhere = f"host={tmp_path} dbname=x user=x connect_timeout=2"
    with pytest.raises(StoreError):
        schema.upgrade(nowhere)
    with pytest.raises(StoreError):
        Database(nowhere, wait_seconds=1).open()


def test_one_row_however_many_ask(database: Database) -> None:
    """A scan that is queued or runs is not queued again; one that is done is."""
    enqueue(database, "a")
    with database.transaction() as connection:
        assert not scans.enqueue(connection, "a", rematch=False)
    job = scans.claim(database, "w")
    with database.transaction() as connection:
        assert not scans.enqueue(connection, "a", rematch=False)
    assert settle(database, job, "w", state="done")
    enqueue(database, "a", rematch=True)


def test_forty_workers_never_hold_the_same_scan(database: Database) -> None:
    """Claims at once give each scan to one worker."""
    enqueue(database, *(f"{number:03d}" for number in range(30)))
    with ThreadPoolExecutor(10) as pool:
        found = [name for name in pool.map(lambda number: claimed(database, f"w{number}"), range(40)) if name]
    assert sorted(found) == [f"{number:03d}" for number in range(30)]


def test_first_scans_go_before_rematches(database: Database) -> None:
    """A launch waits for the one, nobody for the other."""
    enqueue(database, "old", rematch=True)
    enqueue(database, "new")
    assert [claimed(database), claimed(database), claimed(database)] == ["new", "old", ""]


def test_a_scan_whose_lease_ran_out_is_taken_over_once(database: Database) -> None:
    """The first holder has lost it: he can neither keep nor end it."""
    enqueue(database, "a")
    job = scans.claim(database, "killed")
    assert claimed(database, "other") == ""
    execute(database, "UPDATE scans SET lease_until = now() - interval '1 second'")
    again = scans.claim(database, "other")
    assert again is not None
    assert again.attempts == 2
    assert job is not None
    assert not scans.extend(database, job, "killed")
    assert not settle(database, job, "killed", state="done")
    assert scans.extend(database, again, "other")
    assert settle(database, again, "other", state="done")


def test_a_suspect_runs_alone(database: Database) -> None:
    """An image that Clair died with waits until nothing runs, and then nothing else is begun."""
    enqueue(database, "suspect")
    assert settle(database, scans.claim(database, "w"), "w", state="queued", deaths=1)
    enqueue(database, "a", "b")
    execute(
        database, "UPDATE scans SET queued_at = now() + interval '1 minute' WHERE fingerprint = 'suspect'"
    )
    first = scans.claim(database, "w")
    assert first is not None
    assert first.fingerprint == "a"
    execute(
        database, "UPDATE scans SET queued_at = now() - interval '1 minute' WHERE fingerprint = 'suspect'"
    )
    assert claimed(database) == "b"
    assert claimed(database) == ""
    for name in ("a", "b"):
        assert settle(database, scans.Job(name, False, 1, 0), "w", state="done")
    enqueue(database, "c")
    assert claimed(database) == "suspect"
    assert claimed(database) == ""


def test_a_suspect_does_not_wait_for_ever(database: Database) -> None:
    """Others keep coming: after half a minute nothing is begun any more until the suspect has run."""
    enqueue(database, "suspect")
    assert settle(database, scans.claim(database, "w"), "w", state="queued", deaths=1)
    execute(database, "UPDATE scans SET queued_at = now() + interval '1 minute'")
    enqueue(database, "a", "b")
    assert claimed(database) == "a"
    execute(
        database, "UPDATE scans SET not_before = now() - interval '31 seconds' WHERE fingerprint = 'suspect'"
    )
    assert claimed(database) == ""
    assert settle(database, scans.Job("a", False, 1, 0), "w", state="done")
    assert claimed(database) == "suspect"


def test_quarantine_is_left_by_release_only(database: Database) -> None:
    """No ask and no generation brings a quarantined image back; a restart of Clair does, after a rest, a few times."""
    enqueue(database, "a")
    assert settle(database, scans.claim(database, "w"), "w", state="quarantined", deaths=2)
    with database.transaction() as connection:
        assert not scans.enqueue(connection, "a", rematch=True)
    assert scans.release(database, most_deaths=4, rested_seconds=3600) == 0
    assert scans.release(database, most_deaths=2, rested_seconds=0) == 0
    assert scans.release(database, most_deaths=4, rested_seconds=0) == 1
    assert claimed(database) == "a"


def test_an_outage_ends_early_when_clair_is_back(database: Database) -> None:
    """What rests because of an outage runs at once; the tries during it are not counted."""
    enqueue(database, "a")
    assert settle(database, scans.claim(database, "w"), "w", state="queued", pause=600, outage=True)
    found = scans.progress(database, "a")
    assert found is not None
    assert (found.open, found.outage) == (True, True)
    assert claimed(database) == ""
    scans.hurry(database)
    job = scans.claim(database, "w")
    assert job is not None
    assert job.attempts == 1


def test_verdicts_are_immutable(database: Database) -> None:
    """The same digest again changes nothing; a newer one becomes the newest, the older one stays."""
    for generation, body in (("g1", b"one"), ("g1", b"one"), ("g2", b"two")):
        with database.transaction() as connection:
            verdicts.keep(
                connection, fingerprint="f", generation=generation, state="known",
                digest=digest.digest(body), canonical=body, cves=["CVE-2020-1111"],
            )  # fmt: skip
    found = verdicts.read(database, "f")
    assert found is not None
    assert (found.digest, found.generation) == (digest.digest(b"two"), "g2")
    assert execute(database, "SELECT count(*) FROM verdicts") == [(2,)]
    assert verdicts.read(database, "other") is None


def test_layers_come_back_as_they_went_in(database: Database, tmp_path: Path) -> None:
    """Small ones from the database, large ones from the directory, whole or not at all."""
    layers = Layers(database, tmp_path / "layers", in_database=1000)
    layers.prepare()
    for name, body in (("small", b"x" * 50_000), ("large", os.urandom(50_000))):
        source = tmp_path / name
        source.write_bytes(body)
        layer = Layer(
            fingerprint=name, slim_version=1, digest="sha256:x", size=len(body), facts=CoverageFacts()
        )
        fd = os.open(source, os.O_RDONLY)
        with database.transaction() as connection:
            layers.put(connection, layer, fd)
        os.close(fd)
        assert layers.read(name) == layer
        back = layers.fetch(layer)
        assert back is not None
        with os.fdopen(back, "rb") as stream:
            assert stream.read() == body
        assert (tmp_path / "layers" / name).exists() == (name == "large")
        layers.indexed(name, "state")
        found = layers.read(name)
        assert found is not None
        assert (found.kept, found.indexed_under) == (name == "small", "state")
    large = layers.read("large")
    assert large is not None
    assert layers.fetch(large) is None


def test_a_server_survives_broken_connections(faulty: Faulty, tmp_path: Path) -> None:
    """PostgreSQL ends every connection of the server: it goes on, waits and scans as before."""
    site = faulty.start()
    site.judged(slim_of(filetrees.trixie(), tmp_path))
    with psycopg.connect(faulty.files.dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'sifgate%%' AND pid <> pg_backend_pid()"
        )
    other = slim_of(filetrees.bookworm_min(), tmp_path)
    eventually(lambda: site.put(other).status_code in {200, 202})
    assert site.verdict(other.fingerprint).findings


def test_feeds_are_read_again_and_bad_ones_refused(faulty: Faulty, tmp_path: Path) -> None:
    """A new catalogue makes a new generation; a damaged one leaves the last good state, and is told in the log."""
    feeds = tmp_path / "feeds"
    feeds.mkdir()
    entry = {"cveID": "CVE-2025-48384", "dateAdded": "2025-08-25"}
    good = msgspec.json.encode({"dateReleased": "2025-08-25T00:00:00Z", "vulnerabilities": [entry]})
    site = faulty.start("--feeds", str(feeds))
    slim = slim_of(filetrees.trixie(), tmp_path)
    assert not site.judged(slim).findings[0].kev
    (feeds / "kev.json").write_bytes(good)
    eventually(lambda: site.verdict(slim.fingerprint).findings[0].kev)
    (feeds / "kev.json").write_bytes(good[:50])
    eventually(lambda: "feed refused" in site.log.read_text())
    assert site.ask("GET", "/v1/status").json()["advisories"]["kev"] == 1
    assert site.verdict(slim.fingerprint).findings[0].kev
