# SPDX-License-Identifier: Apache-2.0
"""Launches by month: made ahead and on demand, under many servers, beside readers; nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from tests.integration.conftest import RunningEngine
from tests.integration.server.launch_rows import START, launch, rows, store

from sifgate.store import launch_months
from sifgate.store.database import Database
from sifgate.store.launch_months import Month, Months, month_of
from sifgate.store.launches import Launches

pytestmark = pytest.mark.engine
MARCH, APRIL = Month(2026, 3), Month(2026, 4)


@pytest.fixture
def database(engine: RunningEngine) -> Iterator[Database]:
    """An empty database of this version's schema."""
    with store(engine.dsn) as found:
        yield found


def present(database: Database) -> list[Month]:
    """Return the months that have a partition."""
    with database.transaction() as connection:
        return launch_months.present(connection)


def count(database: Database, table: str = "launches") -> int:
    """Return how many rows a table has."""
    return int(rows(database, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 - names of this test


def test_a_month_is_a_calendar_month_in_utc() -> None:
    """Borders lie at midnight UTC, whatever zone an instant is written in; December is followed by January."""
    east = timezone(timedelta(hours=14))
    assert month_of(datetime(2026, 4, 1, 13, 59, tzinfo=east)) == MARCH
    assert Month(2026, 12).later(1) == Month(2027, 1)
    assert Month(2026, 1).later(-1) == Month(2025, 12)
    assert Month(2026, 12).end == Month(2027, 1).start


def test_records_of_many_months_stand_in_their_own(database: Database) -> None:
    """A batch over a border makes both months, and this one and the next besides; a second time it stores nothing."""
    batch = [launch(number) for number in range(20)]
    assert Launches(database).store(batch) == 20
    this = month_of(datetime.now(timezone.utc))
    assert present(database) == sorted({MARCH, APRIL, this, this.later(1)})
    assert count(database, "launches_2026_03") == count(database, "launch_bodies_2026_03") == 8
    assert count(database, "launches_default") == 0
    assert Launches(database).store(batch) == 0
    assert count(database) == count(database, "launch_bodies") == 20


def test_the_same_record_twice_in_a_batch_is_stored_once(database: Database) -> None:
    """A node that repeats itself within one batch changes nothing."""
    assert Launches(database).store([launch(1), launch(1), launch(2)]) == 2


def test_clocks_that_cannot_be_right_make_no_months(database: Database) -> None:
    """1970, the year 9999 and next year stand in the default partition, are found there, and are stored once."""
    moments = [
        datetime(1970, 1, 1, tzinfo=timezone.utc),
        datetime(9999, 12, 31, tzinfo=timezone.utc),
        datetime.now(timezone.utc) + timedelta(days=300),
    ]
    batch = [launch(number, at=moment) for number, moment in enumerate(moments)]
    assert [Launches(database).store(batch), Launches(database).store(batch)] == [3, 0]
    assert len(present(database)) == 2
    assert count(database, "launches_default") == 3


def test_eight_servers_at_once_make_each_month_once(database: Database) -> None:
    """All of them store the same thirteen months in different orders: no deadlock, no error, each record once."""
    batch = [launch(number, at=START + timedelta(days=10 * number)) for number in range(24)]
    servers = [Launches(database) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(server.store, batch[place:] + batch[:place]) for place, server in enumerate(servers)
        ]
        assert sum(job.result() for job in jobs) == len(batch)
    assert count(database, "launches_default") == 0
    assert count(database) == count(database, "launch_bodies") == len(batch)


def test_a_month_that_cannot_be_made_now_costs_nothing(database: Database) -> None:
    """Somebody reads for long: records go to the default partition meanwhile, and move when the month can be made."""
    with database.alone() as reader:
        reader.execute("SELECT count(*) FROM launches")  # holds its locks until the transaction ends
        assert Launches(database).store([launch(number) for number in range(20)]) == 20
        assert present(database) == []
        assert count(database, "launches_default") == 20
    Months(database).prepare([START, START + timedelta(days=3)], START)
    assert [month for month in present(database) if month.year == 2026][:2] == [MARCH, APRIL]
    assert count(database, "launches_default") == count(database, "launch_bodies_default") == 0
    assert count(database) == count(database, "launch_bodies") == 20
    assert Launches(database).store([launch(number) for number in range(20)]) == 0


def test_a_month_is_dropped_whole(database: Database) -> None:
    """Old records go by dropping a table; the others stay, and a month that is gone cannot be dropped again."""
    Launches(database).store([launch(number) for number in range(20)])
    with database.transaction() as connection:
        assert launch_months.before(connection, APRIL.end)[:2] == [MARCH, APRIL]
        assert launch_months.drop(connection, MARCH)
    with database.transaction() as connection:
        assert not launch_months.drop(connection, MARCH)
    assert MARCH not in present(database)
    assert count(database) == count(database, "launch_bodies") == 12


def test_what_launches_share_stands_once_with_its_days(database: Database) -> None:
    """One row for a name and one for the grounds, with first and last day, however the batches came."""
    intake = Launches(database)
    intake.store([launch(8), launch(12)])
    intake.store([launch(0)])
    Launches(database).store([launch(10)])
    days = [(START.date(), (START + timedelta(days=3)).date())]
    for table in ("launch_images", "launch_grounds"):
        assert rows(database, f"SELECT first_day, last_day FROM {table}") == days  # noqa: S608 - names of this test
