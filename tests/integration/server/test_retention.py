# SPDX-License-Identifier: Apache-2.0
"""Forgetting: whole months go, and with them only what nothing else names; evidence that is named stays for good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from tests.integration.conftest import RunningEngine
from tests.integration.server.launch_rows import START, launch, rows, store

from sifgate.model.head import Countersigned, Head
from sifgate.store import heads, policies, verdicts
from sifgate.store.database import Database
from sifgate.store.launches import Grounds, ImageName, Launches
from sifgate.store.retention import HEAD_DAYS, UNNAMED_DAYS, Pruned, prune

pytestmark = pytest.mark.engine
NOW = datetime.now(timezone.utc)
LATER = NOW + timedelta(days=UNNAMED_DAYS + 1)
"""When nothing that this test stores is fresh any more."""
MAY = datetime(2026, 5, 20, tzinfo=timezone.utc)


@pytest.fixture
def database(engine: RunningEngine) -> Iterator[Database]:
    """Launches of March to June; those of March, and one of before all months, name what no other does."""
    with store(engine.dsn) as found:
        Launches(found).store(
            [
                launch(place, at=START + timedelta(days=place), image=name("new"), grounds=named("new"))
                for place in (40, 70)
            ]
            + [launch(3, at=START, image=name("old"), grounds=named("old"))]
            + [
                launch(
                    4,
                    at=datetime(1999, 1, 1, tzinfo=timezone.utc),
                    image=name("stray"),
                    grounds=named("stray"),
                )
            ]
        )
        for word in ("new", "old", "stray", "unnamed"):
            policies.keep(found, f"policy-{word}", b"{}", "node")
            keep_verdict(found, word, fingerprint="same")
        keep_verdict(found, "latest", fingerprint="same")
        yield found


def name(word: str) -> ImageName:
    """Return an image's name."""
    return ImageName(word, word, "")


def named(word: str) -> Grounds:
    """Return grounds that name a verdict and a policy."""
    return Grounds("f", f"verdict-{word}", f"policy-{word}", (), ())


def keep_verdict(database: Database, word: str, *, fingerprint: str) -> None:
    """Store a verdict as the newest of its fingerprint."""
    with database.transaction() as connection:
        verdicts.keep(
            connection, fingerprint=fingerprint, generation="g", state="known", digest=f"verdict-{word}",
            canonical=b"{}", cves=[],
        )  # fmt: skip


def digests(database: Database, table: str) -> set[str]:
    """Return the words of the digests in a table."""
    return {row[0].partition("-")[2] for row in rows(database, f"SELECT digest FROM {table}")}  # noqa: S608 - names of this test


def test_old_months_go_and_with_them_what_only_they_named(database: Database) -> None:
    """Months that ended before the day are dropped whole, records of absurd clocks too; the day's own month stays."""
    found = prune(database, MAY, LATER)
    months = tuple(f"2026-{number:02d}" for number in (3,))
    assert found == Pruned(months=months, strays=1, names=2, grounds=2, verdicts=3, policies=3)
    assert digests(database, "verdicts") == {"new", "latest"}
    assert digests(database, "policies") == {"new"}
    assert (
        rows(database, "SELECT count(*) FROM launches")
        == rows(database, "SELECT count(*) FROM launch_bodies")
        == [(2,)]
    )
    assert prune(database, MAY, LATER) == Pruned()


def test_what_any_record_names_is_kept_however_old(database: Database) -> None:
    """Years later, as long as the records are there, nothing that they name is gone."""
    found = prune(database, datetime(1990, 1, 1, tzinfo=timezone.utc), NOW + timedelta(days=5000))
    assert found == Pruned(verdicts=1, policies=1)
    assert digests(database, "verdicts") == {"new", "old", "stray", "latest"}
    assert digests(database, "policies") == {"new", "old", "stray"}


def test_what_is_fresh_is_left_alone(database: Database) -> None:
    """A verdict that was just made is named by no record yet; names may be known to a server as stored."""
    found = prune(database, MAY, NOW)
    assert (found.names, found.grounds, found.verdicts, found.policies) == (0, 0, 0, 0)
    assert Launches(database).store([launch(90, at=MAY, image=name("old"), grounds=named("old"))]) == 1
    assert prune(database, MAY, LATER).verdicts == 2


def test_old_heads_are_thinned_to_one_a_day_and_a_chain_keeps_its_newest(database: Database) -> None:
    """Of three heads of a day the last one stays; what contradicts it is refused as before."""

    def sign(seen: Countersigned) -> Countersigned:
        return seen

    def head(seq: int, letter: str = "a") -> Head:
        return Head(node="n", chain="c", seq=seq, head=letter * 64, time="t")

    for seq in (1, 2, 3):
        heads.add(database, head(seq), "node", sign)
    rows(database, "UPDATE heads SET received = '2026-01-01 12:00:00+00'")
    assert prune(database, MAY, NOW + timedelta(days=HEAD_DAYS)).heads == 2
    assert [each.seq for each in heads.of(database, "n")] == [3]
    assert isinstance(heads.add(database, head(2, "b"), "node", sign), heads.Contradiction)
