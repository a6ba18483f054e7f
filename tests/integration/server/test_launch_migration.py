# SPDX-License-Identifier: Apache-2.0
"""From the first version's launches to months: every record is there again, byte for byte, and found by more."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import psycopg
import pytest
from tests.integration.conftest import RunningEngine
from tests.integration.server.site import own_schema

from sifgate.audit.record import AuditRecord, ReasonLine
from sifgate.errors import StoreError
from sifgate.store import schema
from sifgate.store.database import Database
from sifgate.store.launch_search import Query, find
from sifgate.store.migrations.versions import v0001_start

pytestmark = pytest.mark.engine
ODD = (b"not JSON at all \xff", b'{"account": 7, "reasons": "x"}', b'{"node": "a\\u0000b"}', b"[]")


@pytest.fixture
def dsn(engine: RunningEngine) -> Iterator[str]:
    """A database as the first version left it, without launches."""
    with own_schema(engine.dsn) as found:
        with psycopg.connect(found) as connection:
            for statement in v0001_start.STATEMENTS:
                connection.execute(statement)
            connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
            connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        yield found


def put(
    dsn: str, identifier: str, at: str, body: bytes, *, user: str = "alice", cves: tuple[str, ...] = ()
) -> None:
    """Insert a record as the first version did."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO launches (id, at, user_name, uid, job, fingerprint, verdict, cves, body)"
            " VALUES (%s, %s, %s, 1000, 7, 'f1', 'sha256:v', %s, %s)",
            (identifier, at, user, list(cves), body),
        )


def record(number: int, time: str) -> AuditRecord:
    """Return a record of the first version."""
    reasons = (ReasonLine("kev", "block", "one", 1, ("CVE-2024-3094 xz-utils 5.6.0",)),)
    return AuditRecord(
        id=f"{number:026x}", time=time, node="n1", door="spank", action="block", image="/apps/x.sif",
        path="/apps/x.sif", account="phys", policy="sha256:p", reasons=reasons, user="alice", uid=1000, job=7,
    )  # fmt: skip


def opened(dsn: str) -> Database:
    """Return an open database, upgraded."""
    schema.upgrade(dsn)
    database = Database(dsn)
    database.open()
    return database


def test_every_record_is_moved_and_found_by_what_it_says(dsn: str) -> None:
    """Of several months and of absurd clocks; account, image, rule and action come from the record itself."""
    times = [
        "2025-12-31T23:59:59.999Z",
        "2026-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.000Z",
        "2999-01-01T00:00:00Z",
    ]
    bodies = [msgspec.json.encode(record(number, time)) for number, time in enumerate(times)]
    for number, (time, body) in enumerate(zip(times, bodies, strict=True)):
        put(dsn, f"{number:026x}", time, body, cves=("CVE-2024-3094",))
    database = opened(dsn)
    expected = [bodies[place] for place in (3, 1, 0, 2)]
    for query in (
        Query(), Query(user="alice"), Query(account="phys"), Query(image="x.sif"), Query(rule="kev"), Query(job=7),
        Query(cve="CVE-2024-3094"), Query(action="block"), Query(node="n1"), Query(fingerprint="f1"),
    ):  # fmt: skip
        assert find(database, query).bodies == expected, query
    with database.transaction() as connection:
        for table, count in (("launches_2025_12", 1), ("launches_2026_01", 1), ("launches_default", 2)):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)  # noqa: S608 - names of this test
        assert connection.execute(
            "SELECT first_day::text, last_day::text FROM launch_grounds"
        ).fetchall() == [("1970-01-01", "2999-01-01")]
    database.close()


def test_bytes_that_are_no_record_are_kept_all_the_same(dsn: str) -> None:
    """Whatever an early version took in: nothing is lost, and it is found by what its columns said."""
    for number, body in enumerate(ODD):
        put(dsn, f"odd{number}", f"2026-02-0{number + 1}", body, user="u" * 3000)
    database = opened(dsn)
    assert find(database, Query(user="u" * 256)).bodies == list(reversed(ODD))
    database.close()


def test_more_records_than_fit_into_one_step(dsn: str) -> None:
    """Twelve thousand, which is three steps: all there once."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO launches (id, at, user_name, uid, job, fingerprint, verdict, cves, body)"
            " SELECT 'r' || n, '2026-02-01'::timestamptz + n * interval '1 minute', 'bob', 1, 1, 'f', 'v', '{}', '{}'"
            " FROM generate_series(1, 12000) n"
        )
    database = opened(dsn)
    assert len(find(database, Query(user="bob", limit=20_000)).bodies) == 10_000
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM launch_bodies").fetchone() == (12_000,)
        assert connection.execute("SELECT count(*) FROM launch_grounds").fetchone() == (1,)
    database.close()


def test_an_upgrade_that_fails_leaves_everything_as_it_was(dsn: str) -> None:
    """A table in the way: the error names it, and the records stand where they stood."""
    put(dsn, "kept", "2026-01-01", b"{}")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE refused_heads (x int)")
    with pytest.raises(StoreError, match="refused_heads"):
        schema.upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert connection.execute("SELECT id, user_name FROM launches").fetchall() == [("kept", "alice")]
