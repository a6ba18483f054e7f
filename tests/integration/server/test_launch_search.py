# SPDX-License-Identifier: Apache-2.0
"""Searching and exporting launches: each filter, pages that neither lose nor repeat, streams in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.integration.conftest import RunningEngine
from tests.integration.server.launch_rows import START, launch, number, rows, store

from sifgate.store import launch_keys, launch_search
from sifgate.store.database import Database
from sifgate.store.launch_export import export
from sifgate.store.launch_search import BEGIN, END, Cursor, Query, find
from sifgate.store.launches import Grounds, ImageName, Launches

pytestmark = pytest.mark.engine
LOG4J = "CVE-2021-44228"


def grounds(letter: str, *rules: str, cves: tuple[str, ...] = ()) -> Grounds:
    """Return grounds whose fingerprint and verdict are made of one letter."""
    return Grounds(letter * 64, f"sha256:{letter * 64}", "sha256:p", rules, cves)


@pytest.fixture(scope="module")
def database(engine: RunningEngine) -> Iterator[Database]:
    """Forty launches in four months and outside of all, every one different in what it can be found by."""
    with store(engine.dsn) as found:
        Launches(found).store([one(place) for place in range(40)])
        rows(
            found,
            "INSERT INTO verdicts (digest, fingerprint, generation, state, cves, size, body)"
            " VALUES (%s, 'x', 'g', 'known', %s, 1, '')",
            f"sha256:{'b' * 64}",
            [LOG4J],
        )
        yield found


def one(place: int) -> Any:
    """Return a launch of the fixture."""
    image = f"/apps/tool-{place % 4}.sif" if place % 8 else "docker://ubuntu%20_x"
    return launch(
        place,
        at=END - timedelta(days=1) if place == 39 else START + timedelta(days=3 * place),
        user="bob" if place % 2 else "alice",
        job=place // 5,
        account=f"a{place % 3}",
        node=f"n{place % 5}",
        door="wrapper" if place == 7 else "spank",
        action="block" if place % 10 == 0 else "allow",
        outcome="would_have_blocked" if place == 13 else "decided",
        image=ImageName(image, image, "named" if place == 21 else ""),
        grounds=(
            grounds("a", "kev") if place < 20 else grounds("b") if place < 30 else grounds("c", cves=(LOG4J,))
        ),
    )


EVERY = list(range(39, -1, -1))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, EVERY),
        ({"user": "alice"}, [n for n in EVERY if n % 2 == 0]),
        ({"job": 3}, [19, 18, 17, 16, 15]),
        ({"account": "a1"}, [n for n in EVERY if n % 3 == 1]),
        ({"node": "n4"}, [n for n in EVERY if n % 5 == 4]),
        ({"door": "wrapper"}, [7]),
        ({"action": "block"}, [30, 20, 10, 0]),
        ({"outcome": "would_have_blocked"}, [13]),
        ({"image": "tool-3"}, [n for n in EVERY if n % 4 == 3]),
        ({"image": "%20_"}, [32, 24, 16, 8, 0]),
        ({"image": "named"}, [21]),
        ({"image": "tool_3"}, []),
        ({"rule": "kev"}, list(range(19, -1, -1))),
        ({"cve": LOG4J}, list(range(39, 19, -1))),
        ({"cve": "CVE-1999-0001"}, []),
        ({"fingerprint": "bb"}, list(range(29, 19, -1))),
        ({"fingerprint": "%"}, []),
        ({"since": START + timedelta(days=90)}, list(range(39, 29, -1))),
        ({"until": START + timedelta(days=9)}, [2, 1, 0]),
        ({"since": START + timedelta(days=3), "until": START + timedelta(days=9)}, [2, 1]),
        ({"user": "bob", "cve": LOG4J, "account": "a0", "image": "tool-3"}, [39, 27]),
        ({"rule": "kev", "cve": LOG4J}, []),
        ({"user": "nobody"}, []),
    ],
)
def test_each_filter_finds_what_it_says(
    database: Database, query: dict[str, Any], expected: list[int]
) -> None:
    """Newest first; a CVE is found through the verdict and through the record itself."""
    page = find(database, Query(**query))
    assert [number(body) for body in page.bodies] == expected
    assert page.cursor is None


@pytest.mark.parametrize("limit", [1, 7, 20, 39, 40, 41])
@pytest.mark.parametrize("query", [{}, {"user": "bob"}, {"cve": LOG4J}, {"image": "tool"}])
def test_pages_neither_lose_nor_repeat(database: Database, query: dict[str, Any], limit: int) -> None:
    """Whatever the size of the pages, all of them together are the one big page."""
    whole = find(database, Query(**query)).bodies
    assert paged(database, query, limit, seconds=60) == whole


def test_a_page_that_takes_too_long_goes_on_where_it_ended(database: Database) -> None:
    """With no time at all a page is one month, perhaps an empty one, and the cursor still leads to the end."""
    assert paged(database, {"user": "alice"}, 100, seconds=0) == find(database, Query(user="alice")).bodies
    first = find(database, Query(user="alice"), seconds=0)
    assert first.cursor is not None
    assert len(first.bodies) < 20


def paged(database: Database, query: dict[str, Any], limit: int, *, seconds: float) -> list[bytes]:
    """Return all records of all pages."""
    found: list[bytes] = []
    after: Cursor | None = None
    while True:
        page = find(database, Query(**query, limit=limit, after=after), seconds=seconds)
        assert len(page.bodies) <= limit
        found += page.bodies
        if page.cursor is None:
            return found
        after = launch_search.cursor(page.cursor.text())


def test_records_of_one_instant_are_paged_by_their_id(engine: RunningEngine) -> None:
    """A thousand nodes in one millisecond: still each record once."""
    with store(engine.dsn) as found:
        Launches(found).store([launch(place, at=START) for place in range(50)])
        seen = [number(body) for body in paged(found, {}, 7, seconds=60)]
        assert seen == list(range(49, -1, -1))


def test_more_keys_than_are_handed_over_find_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way to ask, taken where a word stands for very many images or verdicts, gives the same answers."""
    queries = [Query(image="tool-3"), Query(cve=LOG4J), Query(rule="kev"), Query(cve=LOG4J, image="tool")]
    expected = [find(database, query).bodies for query in queries]
    monkeypatch.setattr(launch_keys, "MOST_KEYS", 0)
    assert [find(database, query).bodies for query in queries] == expected
    assert all(expected)


@pytest.mark.parametrize(
    "text", ["x", "é", "e30=", "MjAyNi0wMS0wMQ==", "MjAyNi0wMS0wMVQwMDowMDowMHxh", "A" * 9]
)
def test_a_cursor_of_nobody_is_refused(text: str) -> None:
    """ValueError, whatever was made up."""
    with pytest.raises(ValueError, match="not a cursor"):
        launch_search.cursor(text)


def test_an_export_holds_every_record_by_verdict_then_time(database: Database) -> None:
    """All launches of one verdict follow each other; bodies are byte for byte what was sent."""
    found = [body for piece in export(database, BEGIN, END, "verdict") for body in piece]
    assert [number(body) for body in found] == list(range(40))
    assert found[3] == one(3).body
    span = START + timedelta(days=9), START + timedelta(days=18)
    by_time = [number(body) for piece in export(database, *span, "time") for body in piece]
    assert by_time == [3, 4, 5]


def test_an_export_orders_by_verdict_before_time(engine: RunningEngine) -> None:
    """Launches of two verdicts that took turns come apart."""
    with store(engine.dsn) as found:
        Launches(found).store([launch(place, grounds=grounds("ab"[place % 2])) for place in range(6)])
        order = [number(body) for piece in export(found, BEGIN, END, "verdict") for body in piece]
        assert order == [0, 2, 4, 1, 3, 5]
