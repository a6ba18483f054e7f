# SPDX-License-Identifier: Apache-2.0
"""One step, one answer: the first decision is kept; where nobody can be asked, the node's own stands."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.agent import POLICY, RunningAgent, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict

from sifgate.config import ServerSettings

STEP = {"job": "42", "step": "3", "nodes": "2"}


@pytest.fixture
def second(server: FakeServer) -> Iterator[RunningAgent]:
    """Another node's agent."""
    with tempfile.TemporaryDirectory(prefix="sg-") as place:
        Path(place).chmod(0o755)
        write_policy(Path(place))
        agent = RunningAgent(Path(place), server.settings)
        yield agent
        agent.stop()


@pytest.mark.root
def test_first_decision_of_a_step_is_everybodys(
    agent: RunningAgent, second: RunningAgent, server: FakeServer, tmp_path: Path
) -> None:
    """A node whose data have changed in between acts on the step's first decision, and the record says so."""
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image, **STEP) == "allow"
    (fingerprint,) = server.verdicts
    server.know(bad_verdict(fingerprint))
    assert second.action(image, **STEP) == "allow"
    assert second.records()[0].kept_by == "server"
    assert second.action(image, job="42", step="4", nodes="2") == "block"


def test_step_on_one_node_asks_nobody(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """With one node there is nothing to agree on."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image, job="42", step="3", nodes="1") == "block"
    assert server.steps == {}


def test_node_cut_off_decides_alone(
    agent: RunningAgent, server: FakeServer, tmp_path: Path, root: Path
) -> None:
    """Without the server a cached image has its verdict and an unknown one its posture, each this node's own."""
    write_policy(root, POLICY + "failure: {server_unreachable: block}\n")
    agent.query("reload")
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image, **STEP) == "allow"
    agent.agent.remote.settings = ServerSettings("https://127.0.0.1:1", server.certificate, server.token_file)
    assert agent.action(image, **STEP) == "allow"
    assert agent.action(settled_file(tmp_path / "y.sif", b"y"), **STEP) == "block"
    assert all(record.kept_by == "" for record in agent.records())


def test_question_is_no_part_of_a_step(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """`sifgate check` inside a job with many nodes leaves no decision for the job's own step."""
    server.finding = bad_verdict
    assert agent.action(settled_file(tmp_path / "x.sif", b"x"), door="cli", **STEP) == "block"
    assert server.steps == {}


@pytest.mark.root
def test_trust_in_one_image_is_no_answer_for_another_with_equal_packages(
    agent: RunningAgent, root: Path, server: FakeServer, tmp_path: Path
) -> None:
    """What lets an image pass for its owner is not carried over within the step to a copy that is somebody else's."""
    server.finding = bad_verdict
    write_policy(root, POLICY + "scopes:\n  - {id: ours, match: {owner: root}, set: {mode: audit}}\n")
    assert agent.query("reload")["problem"] == ""
    ours, copy = settled_file(tmp_path / "ours.sif", b"x"), settled_file(tmp_path / "copy.sif", b"x")
    os.chown(copy, 65_534, -1)
    assert agent.action(ours, **STEP) == "log"
    assert agent.action(copy, **STEP) == "block"
    assert len(server.steps) == 2
