# SPDX-License-Identifier: Apache-2.0
"""An agent and a server to talk to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.agent import RunningAgent, write_policy
from tests.fakes.server import FakeServer

from sifgate.agent import memo


@pytest.fixture(autouse=True)
def quick_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled after a quarter of a second, so that no test waits for two."""
    monkeypatch.setattr(memo, "YOUNG_LOCAL_NS", 250_000_000)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    """A server that answers."""
    directory = tmp_path / "server"
    directory.mkdir(mode=0o700)
    fake = FakeServer(directory)
    yield fake
    fake.close()


@pytest.fixture
def root() -> Iterator[Path]:
    """A place for one agent's files, short enough for a socket, with a policy that blocks the exploited and fixable."""
    with tempfile.TemporaryDirectory(prefix="sg-") as place:
        Path(place).chmod(0o755)
        write_policy(Path(place))
        yield Path(place)


@pytest.fixture
def start(root: Path, server: FakeServer) -> Iterator[Callable[..., RunningAgent]]:
    """Start agents; all of them end with the test."""
    running: list[RunningAgent] = []

    def begin(**settings: Any) -> RunningAgent:
        agent = RunningAgent(root, settings.pop("server", server.settings), **settings)
        running.append(agent)
        return agent

    yield begin
    for agent in running:
        agent.stop()


@pytest.fixture
def agent(start: Callable[..., RunningAgent]) -> RunningAgent:
    """One agent with default settings."""
    return start()
