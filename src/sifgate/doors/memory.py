# SPDX-License-Identifier: Apache-2.0
"""What a node remembers of its doors: with which words each was put in place, and which ones `sifgate disable` took.

Plain text below `/var/lib/sifgate`, so that shell scripts of packages can read it without Python:

    doors/wrapper     one line for each `sifgate wrapper install`: its options, quoted for a shell (often an empty line)
    disabled          one line for each door that was taken away: its name

A door that stands in `disabled` is put back by `sifgate enable` alone: not by an upgrade of a package or its trigger.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

STATE = Path("var/lib/sifgate")
"""Below the root of the tree."""


class Memory:
    """The remembered doors of one tree; every method may raise OSError."""

    def __init__(self, tree: Path) -> None:
        self._state = tree / STATE

    def options(self, name: str) -> list[list[str]]:
        """Return the options of each install of a door, oldest first."""
        return [shlex.split(line) for line in _lines(self._state / "doors" / name)]

    def installed(self, name: str, options: list[str]) -> None:
        """Remember an install; the same one twice is one, the later: of two that contradict each other it counts."""
        lines = _lines(self._state / "doors" / name)
        words = shlex.join(options)
        if lines[-1:] != [words]:
            _write(self._state / "doors" / name, [*(line for line in lines if line != words), words])

    def removed(self, name: str) -> None:
        """Forget a door: its installs, and that it was taken away."""
        (self._state / "doors" / name).unlink(missing_ok=True)
        self.enabled(name)

    def disabled(self) -> list[str]:
        """Return the names of the doors that were taken away."""
        return _lines(self._state / "disabled")

    def disable(self, name: str) -> None:
        """Remember that a door was there and was taken away."""
        names = self.disabled()
        if name not in names:
            _write(self._state / "disabled", [*names, name])

    def enabled(self, name: str) -> None:
        """Forget that a door was taken away."""
        names = self.disabled()
        if name in names:
            _write(self._state / "disabled", [each for each in names if each != name])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def _write(path: Path, lines: list[str]) -> None:
    """Replace a file in one step; an empty one goes."""
    if not lines:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)
        os.fchmod(file.fileno(), 0o644)
    Path(name).replace(path)
