# SPDX-License-Identifier: Apache-2.0
"""One step, one answer: the first decision is kept, and a node that refuses ends the whole step."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.agent import POLICY, RunningAgent, eventually, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict

from sifgate.config import AgentSettings, ServerSettings

STEP = {"job": "42", "step": "3", "nodes": "2"}


@pytest.fixture
def scancel(root: Path) -> Path:
    """A scancel that writes down what it was told."""
    program = root / "scancel"
    program.write_text(f'#!/bin/sh\necho "$@" >> {root}/cancelled\n', encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture
def second(server: FakeServer, scancel: Path) -> Iterator[RunningAgent]:
    """Another node's agent, which believes that the server is elsewhere until told."""
    with tempfile.TemporaryDirectory(prefix="sg-") as place:
        Path(place).chmod(0o755)
        write_policy(Path(place))
        agent = RunningAgent(Path(place), server.settings, agent=AgentSettings(scancel=scancel))
        yield agent
        agent.stop()


@pytest.fixture
def first(root: Path, server: FakeServer, scancel: Path) -> Iterator[RunningAgent]:
    """One node's agent."""
    agent = RunningAgent(root, server.settings, agent=AgentSettings(scancel=scancel))
    yield agent
    agent.stop()


def cancelled(scancel: Path) -> str:
    """Return what scancel was told so far."""
    told = scancel.with_name("cancelled")
    return told.read_text(encoding="utf-8") if told.exists() else ""


def test_first_decision_of_a_step_is_everybodys(
    first: RunningAgent, second: RunningAgent, server: FakeServer, scancel: Path, tmp_path: Path
) -> None:
    """A node whose data have changed in between acts on the step's first decision, and the record says so."""
    image = settled_file(tmp_path / "x.sif", b"x")
    assert first.action(image, **STEP) == "allow"
    (fingerprint,) = server.verdicts
    server.know(bad_verdict(fingerprint))
    assert second.action(image, **STEP) == "allow"
    assert second.records()[0].kept_by == "server"
    assert second.action(image, job="42", step="4", nodes="2") == "block"
    eventually(lambda: cancelled(scancel) == "--quiet 42.4\n")


def test_refusing_node_ends_the_whole_step(
    first: RunningAgent, server: FakeServer, scancel: Path, tmp_path: Path
) -> None:
    """A refusal on one of several nodes cancels the step everywhere."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    assert first.action(image, **STEP) == "block"
    eventually(lambda: cancelled(scancel) == "--quiet 42.3\n")
    assert first.query("status")["steps_ended"] == 1


def test_step_on_one_node_asks_nobody(
    first: RunningAgent, server: FakeServer, scancel: Path, tmp_path: Path
) -> None:
    """With one node there is nothing to agree on, and nothing to cancel."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    assert first.action(image, job="42", step="3", nodes="1") == "block"
    assert server.steps == {}
    assert not cancelled(scancel)


def test_node_cut_off_decides_alone_and_its_refusal_ends_the_step(
    first: RunningAgent, server: FakeServer, scancel: Path, tmp_path: Path, root: Path
) -> None:
    """One node cached, the other cut off: whichever refuses takes the whole step down."""
    write_policy(root, POLICY + "failure: {server_unreachable: block}\n")
    first.query("reload")
    image = settled_file(tmp_path / "x.sif", b"x")
    assert first.action(image, **STEP) == "allow"
    first.agent.remote.settings = ServerSettings("https://127.0.0.1:1", server.certificate, server.token_file)
    assert first.action(image, **STEP) == "allow"
    other = settled_file(tmp_path / "y.sif", b"y")
    assert first.action(other, **STEP) == "block"
    eventually(lambda: cancelled(scancel) == "--quiet 42.3\n")


def test_scancel_that_others_can_write_is_not_run(
    first: RunningAgent, server: FakeServer, scancel: Path, tmp_path: Path
) -> None:
    """The agent starts nothing as root that somebody else could have written; the refusal stands."""
    scancel.chmod(0o777)
    server.finding = bad_verdict
    assert first.action(settled_file(tmp_path / "x.sif", b"x"), **STEP) == "block"
    first.stop()
    assert not cancelled(scancel)
    first.stop = lambda: None  # type: ignore[method-assign]  # stopped already


def test_question_ends_no_step(
    first: RunningAgent, server: FakeServer, scancel: Path, tmp_path: Path
) -> None:
    """`sifgate check` inside a job with many nodes cancels nothing."""
    server.finding = bad_verdict
    assert first.action(settled_file(tmp_path / "x.sif", b"x"), door="cli", **STEP) == "block"
    assert server.steps == {}
    assert not cancelled(scancel)
