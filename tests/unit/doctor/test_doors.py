# SPDX-License-Identifier: Apache-2.0
"""The doctor at the doors: how they lie, and whether a test launch reaches the agent."""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sifgate.doctor import doors
from sifgate.doctor.finding import Finding, Health
from sifgate.doors import table
from sifgate.doors.door import LIBEXEC, DoorState
from sifgate.doors.memory import Memory


class Told:
    """A door that lies as it is told."""

    summary = "told"

    def __init__(self, state: DoorState) -> None:
        self.name = state.name
        self._state = state

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Have none."""

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Do nothing."""
        del tree, chosen
        return []

    def remove(self, tree: Path) -> list[str]:
        """Do nothing."""
        del tree
        return []

    def state(self, tree: Path) -> DoorState:
        """Say what was told."""
        del tree
        return self._state


def seen(monkeypatch: pytest.MonkeyPatch, tree: Path, *states: DoorState) -> list[Finding]:
    """Return what the doctor says of a node with these doors."""
    for state in states:
        module = ModuleType(f"sifgate.doors.told_{state.name}")
        module.DOOR = Told(state)  # type: ignore[attr-defined] # as every door's module has it
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(table, "MODULES", {state.name: f"told_{state.name}" for state in states})
    monkeypatch.setattr(doors, "MODULES", table.MODULES)
    return list(doors.look(tree, tree / "agent.sock"))


def test_each_door_has_its_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In place, broken with its remedy, not used here, not in place."""
    found = seen(
        monkeypatch,
        tmp_path,
        DoorState("prolog", present=True, detail="lies there"),
        DoorState("spank", present=True, problem="of another series", remedy="sifgate spank install"),
        DoorState("enroot-hook", present=False, applicable=False, detail="no Enroot on this node"),
        DoorState("guard", present=False),
    )
    assert [each.health for each in found] == [Health.FINE, Health.PROBLEM, Health.ABSENT, Health.ABSENT]
    assert [each.remedy for each in found] == ["", "sifgate spank install", "", "sifgate guard install"]


def test_a_node_without_any_door_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each site chooses its doors, but none at all is a mistake."""
    found = seen(monkeypatch, tmp_path, DoorState("spank", present=False))
    assert found[-1].health is Health.PROBLEM
    assert found[-1].subject == "doors"
    (server,) = seen(monkeypatch, tmp_path, DoorState("spank", present=False, applicable=False))
    assert server.health is Health.ABSENT


def test_what_was_disabled_is_a_reminder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody forgets that the gate stands open."""
    Memory(tmp_path).disable("spank")
    (first, _) = seen(monkeypatch, tmp_path, DoorState("spank", present=False))
    assert (first.health, first.remedy) == (Health.PROBLEM, "sifgate enable spank")


def test_a_door_whose_code_is_broken_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The others are looked at."""
    monkeypatch.setattr(doors, "MODULES", {"spank": "x"})
    monkeypatch.setitem(table.MODULES, "spank", "nowhere_at_all")
    assert next(doors.look(tmp_path, tmp_path)).health is Health.PROBLEM


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return where sifgate-ask lies in the tree; a script in its place says what it was called with."""
    path = tmp_path / LIBEXEC.relative_to("/") / "sifgate-ask"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", ""),
        ("exit 3", "exit 3"),
        ("exec sleep 60", "exit 124"),
    ],
)
def test_a_test_launch_has_to_reach_the_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: Path, script: str, words: str
) -> None:
    """The door's own program is run, against the socket that is looked at; it may not hang."""
    monkeypatch.setattr(doors, "LIMIT", 1.0)
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n{script}\n')
    program.chmod(0o755)
    found = seen(monkeypatch, tmp_path, DoorState("oci-hook", present=True))
    assert f"--socket {tmp_path}/agent.sock" in (tmp_path / "called").read_text()
    assert [words in each.detail for each in found[1:]] == ([True] if words else [])


def test_a_program_that_is_gone_or_broken_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: Path
) -> None:
    """A hook whose program is missing refuses everything: that is what the doctor is for."""
    found = seen(monkeypatch, tmp_path, DoorState("oci-hook", present=True))
    assert found[-1].health is Health.PROBLEM
    program.write_text("no program")
    program.chmod(0o755)
    found = seen(monkeypatch, tmp_path, DoorState("oci-hook", present=True))
    assert "exit 126" in found[-1].detail


def test_nothing_listens_in_the_temporary_directory(tmp_path: Path) -> None:
    """The socket of these tests is nobody's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe, pytest.raises(FileNotFoundError):
        probe.connect(str(tmp_path / "agent.sock"))
