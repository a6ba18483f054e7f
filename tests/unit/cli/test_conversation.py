# SPDX-License-Identifier: Apache-2.0
"""Whose agent is asked."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sifgate.cli.conversation import choose, client
from sifgate.config import Places


def listening(path: Path) -> socket.socket:
    """Return a socket that accepts connections at `path`."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()
    return listener


def test_a_users_own_agent_comes_first(root: Path) -> None:
    """Who started an agent wants to ask it."""
    own, machine = root / "own", root / "machine"
    with listening(own), listening(machine):
        assert choose(own, machine) == own


def test_a_user_without_an_agent_asks_the_machines(root: Path) -> None:
    """`sifgate explain` of a notice works for every user of a node, also beside a socket that a dead agent left."""
    own, machine = root / "own", root / "machine"
    with listening(machine):
        assert choose(own, machine) == machine
        listening(own).close()
        assert own.exists()
        assert choose(own, machine) == machine


def test_where_nobody_listens_the_error_names_the_likelier_place(root: Path) -> None:
    """A dead agent of the user's own is his to start; otherwise the machine's is missing."""
    own, machine = root / "own", root / "machine"
    assert choose(own, machine) == machine
    listening(own).close()
    assert choose(own, machine) == own


def test_a_root_directory_means_exactly_its_agent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--root` is for trials: nothing outside it is asked."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert client(Places.under(root)).path == str(root / "run/agent.sock")
