# SPDX-License-Identifier: Apache-2.0
"""The door `prolog`: has a job's image scanned before its first step. Slurm's `Prolog=` line is the administrator's.

Taken away it stays where it is and does nothing: slurmd drains a node whose prolog is missing.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
from pathlib import Path

from sifgate.doors import slurm
from sifgate.doors.door import LIBEXEC, Door, DoorState
from sifgate.doors.placed import below, is_program, put, take
from sifgate.errors import ConfigError

PROGRAM = LIBEXEC / "prolog"
PARTS = ("prolog.py", "sifgate/__init__.py", "sifgate/client.py", "sifgate/errors.py", "sifgate/wire.py")
"""What lies beside it and is imported."""
SWITCH = "/etc/sifgate/prolog.off"
WANTED = f"Prolog={PROGRAM}  PrologFlags=Alloc"
_WHY = "Made by `sifgate prolog remove`: the prolog does nothing as long as this file is here.\n"


class Prolog:
    """The prolog of Slurm."""

    name = "prolog"
    summary = "jobs of Slurm: the image they declared is scanned before their first step"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of `install`: none."""

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Switch it on and say what slurm.conf lacks; raise ConfigError where its files are not there."""
        del chosen
        if missing := _missing(tree):
            raise ConfigError(
                f"prolog: {missing} is not there",
                hint="install the package sifgate-hooks, or: make -C hooks/slurm install",
            )
        said = [f"{SWITCH}: removed"] if take(below(tree, SWITCH)) else []
        if not _named(tree):
            said.append(f"slurm.conf of the cluster needs: {WANTED}")
        return said

    def remove(self, tree: Path) -> list[str]:
        """Switch it off, where slurm.conf names it or its files are there; nothing is deleted."""
        if not _named(tree) and not below(tree, PROGRAM).exists():
            return []
        if not put(below(tree, SWITCH), _WHY):
            return []
        said = [f"{SWITCH}: made, the prolog does nothing"]
        if _named(tree):
            said.append(f"slurm.conf still names {PROGRAM}: take the line out before its files are removed")
        return said

    def state(self, tree: Path) -> DoorState:
        """Look at files, switch and slurm.conf."""
        try:
            return _state(tree)
        except (ConfigError, OSError, subprocess.SubprocessError) as error:
            return DoorState(self.name, present=False, problem=str(error))


def _state(tree: Path) -> DoorState:
    if not slurm.has_daemon(tree):
        return DoorState("prolog", present=False, detail="no slurmd on this node", applicable=False)
    named, missing, off = _named(tree), _missing(tree), below(tree, SWITCH).exists()
    if named and missing:
        problem = f"slurm.conf names {PROGRAM}, but {missing} is not there: every job drains its node"
        return DoorState(
            "prolog", False, "", problem, "install the package sifgate-hooks, or take the line out"
        )
    if not named:
        return DoorState("prolog", present=False, detail=f"slurm.conf does not name it (wanted: {WANTED})")
    if off:
        return DoorState("prolog", present=False, detail=f"switched off by {SWITCH}")
    return DoorState("prolog", present=True, detail=f"{PROGRAM} is in slurm.conf")


def _named(tree: Path) -> bool:
    """Return whether slurm.conf has slurmd run our prolog; a value may be a glob."""
    return any(fnmatch.fnmatch(str(PROGRAM), value) for value in slurm.settings(tree, "Prolog"))


def _missing(tree: Path) -> str:
    """Return the first of our files that is not there, or nothing."""
    if not is_program(below(tree, PROGRAM)):
        return str(PROGRAM)
    absent = [part for part in PARTS if not below(tree, LIBEXEC / part).is_file()]
    return str(LIBEXEC / absent[0]) if absent else ""


DOOR: Door = Prolog()
