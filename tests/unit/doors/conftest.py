# SPDX-License-Identifier: Apache-2.0
"""Doors made of one file each, so that the verbs are tested apart from what a real door has to know."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sifgate.cli import main
from sifgate.doors import table
from sifgate.doors.door import DoorState
from sifgate.errors import ConfigError

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


class Wicket:
    """A door that is a file in the tree; `resists` makes its removal fail."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.summary = f"a file called {name}"
        self.resists = ""

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Take one option that can be given more than once over the life of a node."""
        parser.add_argument("--prefix", type=Path, default=Path("usr"))

    def file(self, tree: Path, prefix: Path = Path("usr")) -> Path:
        """Return the file that is the door."""
        return tree / prefix / self.name

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Make the file."""
        path = self.file(tree, chosen.prefix)
        if path.exists():
            return []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return [f"{self.name}: made {path.relative_to(tree)}"]

    def remove(self, tree: Path) -> list[str]:
        """Remove every file of this name."""
        if self.resists == "disk":
            raise OSError(30, "Read-only file system", str(tree))
        if self.resists:
            raise ConfigError(f"{self.name}: {self.resists}")
        found = sorted(tree.rglob(f"usr*/{self.name}"))
        for path in found:
            path.unlink()
        return [f"{self.name}: removed {path.relative_to(tree)}" for path in found]

    def state(self, tree: Path) -> DoorState:
        """Say whether a file is there."""
        return DoorState(self.name, self.file(tree).exists(), detail=str(self.file(tree)))


@pytest.fixture
def wickets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Wicket]:
    """Put two such doors in the place of all others; return them by name."""
    made = {name: Wicket(name) for name in ("wrapper", "guard")}
    for name, door in made.items():
        module = ModuleType(f"sifgate.doors.{name}_wicket")
        module.DOOR = door  # type: ignore[attr-defined] # as every door's module has it
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(table, "MODULES", {name: f"{name}_wicket" for name in made})
    verbs = [verb for verb in main.VERBS if not verb.door]
    monkeypatch.setattr(main, "VERBS", (*verbs, *(main.Verb(name, "", door=True) for name in made)))
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return the root of a file system that is being prepared."""
    path = tmp_path / "tree"
    path.mkdir()
    return path


@pytest.fixture
def sifgate(wickets: dict[str, Wicket], tree: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command line in this process, on `tree`."""
    del wickets

    def run(*words: str) -> Outcome:
        capsys.readouterr()
        code = main.main([*words, "--tree", str(tree)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run
