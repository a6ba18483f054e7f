# SPDX-License-Identifier: Apache-2.0
"""An agent and a server to talk to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.agent import RunningAgent, write_policy
from tests.fakes.server import FakeServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    """A server that answers."""
    directory = tmp_path / "server"
    directory.mkdir(mode=0o700)
    fake = FakeServer(directory)
    yield fake
    fake.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A place for one agent's files, with a policy that blocks what is exploited and fixable."""
    place = tmp_path / "root"
    place.mkdir(mode=0o755)
    write_policy(place)
    return place


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
