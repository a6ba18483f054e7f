# SPDX-License-Identifier: Apache-2.0
"""An agent of its own in front of the real gate: sandboxed worker, server, PostgreSQL, Clair and shipped advisories."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from testbed.images import obtain_image
from tests.fakes.agent import POLICY, RunningAgent, eventually, write_policy
from tests.integration.conftest import RunningEngine

from sifgate.config import AuditSettings, ServerSettings, server_from_engine

pytestmark = pytest.mark.engine

YOUNG = 2.5
"""Seconds of age below which the agent remembers no file (design §5: 2 s)."""
Start = Callable[..., RunningAgent]


@pytest.fixture
def server(gate: RunningEngine) -> ServerSettings:
    """The real server, as the engine announces it."""
    return server_from_engine(gate.places.run)


@pytest.fixture
def start(server: ServerSettings) -> Iterator[Start]:
    """Start agents with empty caches below directories of their own."""
    running: list[RunningAgent] = []
    with tempfile.TemporaryDirectory(prefix="sg-") as place:

        def begin(name: str = "n1", policy: str = POLICY) -> RunningAgent:
            root = Path(place) / name
            root.mkdir(mode=0o755)
            write_policy(root, policy.replace("scan_wait: 5s", "scan_wait: 35s"))
            agent = RunningAgent(root, server, audit=AuditSettings(ship=True), real_worker=True)
            running.append(agent)
            return agent

        Path(place).chmod(0o755)
        yield begin
        for agent in running:
            agent.stop()


def settled(image: Path) -> Path:
    """Return the image once it is old enough to be remembered: a fresh cache has packed it a moment ago."""
    eventually(lambda: time.time() - image.stat().st_ctime > YOUNG)
    return image


def test_first_launch_is_refused_and_the_second_asks_nobody(start: Start) -> None:
    """A never seen image with known-exploited vulnerabilities is refused at once; the next launch makes no call."""
    agent = start()
    image = settled(obtain_image("bullseye-sci-packages.sif"))
    answer = agent.ask(image, deadline=60.0)
    assert answer.text("action") == "block"
    assert "CVE-2025-48384" in answer.text("notice")
    before = agent.query("status")
    again = agent.ask(image)
    assert again.text("action") == "block"
    after = agent.query("status")
    assert after["server"]["calls"] == before["server"]["calls"]
    assert after["scans"]["extractions"] == before["scans"]["extractions"] == 1
    first, second = agent.records()
    assert first.verdict == second.verdict
    assert first.generation
    assert second.latency_ms < 1000


def test_clean_image_runs(start: Start) -> None:
    """An image without known-exploited vulnerabilities passes, known and with its generation."""
    agent = start()
    assert agent.action(obtain_image("trixie-packages.sif"), deadline=60.0) == "allow"
    (record,) = agent.records()
    assert (record.state, bool(record.verdict)) == ("known", True)


def test_unsupported_distribution_warns(start: Start) -> None:
    """No advisories for it: a state with an action of its own, never clean."""
    agent = start()
    assert agent.action(obtain_image("rocky-9.sif"), deadline=60.0) == "warn"
    assert agent.records()[0].state == "unsupported"


def test_nodes_of_a_step_act_on_one_decision(start: Start) -> None:
    """Two nodes with the same policy: the second acts on what the server kept from the first."""
    image = obtain_image("trixie-packages.sif")
    step = {"job": "4711", "step": "1", "nodes": "2", "deadline": 60.0}
    actions = [start(name).action(image, node=name, **step) for name in ("n1", "n2")]
    assert actions == ["allow", "allow"]


def test_records_arrive_in_the_index(start: Start, gate: RunningEngine, server: ServerSettings) -> None:
    """What the node wrote can be asked of the server, once each."""
    agent = start()
    reference = agent.ask(obtain_image("trixie-packages.sif"), job="815", deadline=60.0).text("reference")

    def stored() -> bool:
        answer = requests.get(
            f"{server.url}/v1/launches",
            params={"job": "815"},
            headers={"Authorization": f"Bearer {gate.token_file.read_text().strip()}"},
            verify=str(server.certificate_file),
            timeout=10,
        )
        return answer.ok and [record["reference"] for record in answer.json()["records"]] == [reference]

    eventually(stored, 20)


def test_token_that_the_server_does_not_know_is_an_outage(
    start: Start, server: ServerSettings, tmp_path: Path
) -> None:
    """The real server refuses a foreign token, and the launch goes by `server_unreachable`."""
    agent = start()
    (tmp_path / "token").write_text("not a token\n", encoding="ascii")
    foreign = ServerSettings(server.url, server.certificate_file, tmp_path / "token")
    agent.agent.remote.settings = foreign
    assert agent.action(obtain_image("trixie-packages.sif"), deadline=60.0) == "log"
    assert agent.records()[0].cause == "server_unreachable"
