# SPDX-License-Identifier: Apache-2.0
"""`sifgate audit query --site`: filters reach the server, records come newest last, what cannot be is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.fakes.records import record
from tests.unit.cli.conftest import Run

from sifgate.audit.record import AuditRecord
from sifgate.cli.main import ALLOWED, USAGE, main


class FakeSite:
    """A server with two records."""

    def __init__(self) -> None:
        self.asked: dict[str, str] = {}

    def launches(self, filters: Mapping[str, str], *, limit: int) -> Iterator[AuditRecord]:
        """Yield them, newest first."""
        self.asked = {**{name: value for name, value in filters.items() if value}, "limit": str(limit)}
        yield from (record(2), record(1))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> FakeSite:
    """The server of the settings."""
    fake = FakeSite()
    monkeypatch.setattr("sifgate.cli.site.site_of", lambda _: fake)
    return fake


def test_filters_reach_the_server_and_records_come_newest_last(
    site: FakeSite, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that were given and no others."""
    words = (
        "--rule",
        "kev",
        "--node",
        "n7",
        "--since",
        "2026-01-01",
        "--until",
        "2026-02-01",
        "--limit",
        "5",
    )
    assert main(["--root", str(root), "audit", "query", "--site", "--format", "json", *words]) == ALLOWED
    found = [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    assert found == [record(1).id, record(2).id]
    assert {key: site.asked[key] for key in ("rule", "node", "limit")} == {
        "rule": "kev",
        "node": "n7",
        "limit": "5",
    }
    assert set(site.asked) == {"rule", "node", "since", "until", "limit"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--site", "--partition", "gpu"), "--partition: the server's copy is not searched by it"),
        (("--site", "--state", "pending"), "--state: the server's copy is not searched by it"),
        (("--node", "n7"), "--node needs --site"),
        (("--until", "7d"), "--until needs --site"),
    ],
)
def test_options_that_one_side_does_not_know_are_errors(
    sifgate: Run, words: tuple[str, ...], message: str
) -> None:
    """Never passed over: an answer to another question would be taken for this one's."""
    done = sifgate("audit", "query", *words)
    assert done.code == USAGE
    assert message in done.err
