# SPDX-License-Identifier: Apache-2.0
"""Launches of the whole site come from the server's export, verdicts by digest; what it lacks is counted."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.policy.builders import NOON, finding, policy, standing
from tests.unit.whatif.conftest import Node, by, image

from sifgate.cli import recordings as module
from sifgate.cli.recordings import Recordings, add_recordings
from sifgate.config import Places, ServerSettings
from sifgate.model.verdict import Standing
from sifgate.verdict.digest import canonical
from sifgate.whatif.simulate import NO_VERDICT, Question

BLOCKING = policy("mode: enforce\nrules: [{id: kev, when: {kev: true}, action: block}]")


class Server:
    """A server that exports what one node has recorded, and has some of the verdicts."""

    def __init__(self, node: Node, known: list[Standing]) -> None:
        self._lines = sorted(node.log.read_bytes().splitlines())
        self._verdicts = {each.digest: each.verdict for each in known}
        self.asked: list[tuple[str, str]] = []

    def export(self, since: str = "", until: str = "") -> Iterator[bytes]:
        """Yield the lines."""
        self.asked.append((since, until))
        yield from self._lines

    def verdict(self, digest: str) -> bytes | None:
        """Return a verdict."""
        verdict = self._verdicts.get(digest)
        return None if verdict is None else canonical(verdict)


def test_a_site_is_simulated_from_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same numbers as a node from its log, and without the node's files."""
    node = Node(tmp_path / "node")
    bad = node.keep(image(standing(finding(kev=True)), "bad"))
    lost = node.keep(image(standing(finding()), "lost"))
    for user in ("alice", "bob"):
        node.record(bad, by(user))
        node.record(lost, by(user))
    server = Server(node, [bad])
    monkeypatch.setattr(module, "Site", lambda _settings: server)
    monkeypatch.setattr(module, "_server", lambda _places: ServerSettings())
    parser = argparse.ArgumentParser()
    add_recordings(parser)
    arguments = parser.parse_args(["--site", "--since", "2026-08-01", "--until", "2026-10-01"])
    found = Recordings(arguments, Places.here(str(tmp_path / "empty")))
    tally = found.simulate(Question(BLOCKING, at=NOON), lambda _step, _count: None)
    assert (tally.newly_refused, tally.judged.users) == (2, {"alice", "bob"})
    assert tally.unjudged == {NO_VERDICT: 2}
    assert server.asked == [("2026-08-01T00:00:00.000Z", "2026-10-01T00:00:00.000Z")]
