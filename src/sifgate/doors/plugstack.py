# SPDX-License-Identifier: Apache-2.0
"""plugstack.conf and what it includes: which lines Slurm reads, and the one that is ours (spank(8)).

`required|optional PLUGIN ARGUMENT…` and `include GLOB`, split at blanks; `#` begins a comment anywhere. Ours stands
alone in `sifgate.conf`, in a directory that the site's plugstack.conf includes. Every change is one rename.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sifgate.doors.placed import below, put, text_of
from sifgate.doors.slurm import CONFIGLESS, configuration, settings
from sifgate.errors import ConfigError

NAME = "sifgate.conf"
LIBRARY = "sifgate.so"
MAX_FILES = 100
"""Included files that are read: a file may include itself."""
_OUT = "#was: "
_HEAD = "# sifgate: judges container images at launch; written by `sifgate spank install`, see docs/doors/slurm.md\n"


class Line(msgspec.Struct, frozen=True):
    """One plugin of the stack."""

    need: str
    """`required` or `optional`."""
    plugin: str
    arguments: tuple[str, ...] = ()
    file: Path = Path()
    """Where it stands, as it is inside the tree."""

    def __str__(self) -> str:
        return " ".join((self.need, self.plugin, *self.arguments))


class Plugstack:
    """The plugin stack of one tree."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        named = [value for value in settings(tree, "PlugStackConfig") if value.startswith("/")]
        self.path = Path(named[-1]) if named else configuration(tree) / "plugstack.conf"

    @property
    def fetched(self) -> bool:
        """Return whether plugstack.conf is a copy from the controller, which a change here would not outlive."""
        return self.path.is_relative_to(CONFIGLESS)

    @property
    def place(self) -> Path:
        """Return where our own file lies, or would lie, as it is inside the tree."""
        for pattern in self._patterns():
            if fnmatch.fnmatch(NAME, pattern.name):
                return pattern.parent / NAME
        base = Path("/etc/slurm") if self.fetched else self.path.parent
        return base / "plugstack.conf.d" / NAME

    def included(self) -> bool:
        """Return whether plugstack.conf includes our place."""
        return any(fnmatch.fnmatch(str(self.place), str(pattern)) for pattern in self._patterns())

    def lines(self) -> list[Line]:
        """Return every plugin that Slurm would load, in its order."""
        return list(self._read(self.path, [self.path]))

    def ours(self) -> list[Line]:
        """Return those lines that name our plugin, wherever they stand."""
        return [line for line in self.lines() if line.plugin.endswith(LIBRARY)]

    def written(self) -> Line | None:
        """Return the line of our own file, be it in force or taken out; None where there is none."""
        for text in (text_of(below(self.tree, self.place)) or "").splitlines():
            if (line := _parsed(text.removeprefix(_OUT), self.place)) is not None:
                return line
        return None

    def in_force(self) -> bool:
        """Return whether our own file holds a line that Slurm reads."""
        return any(line.file == self.place for line in self.ours())

    def write(self, line: Line) -> bool:
        """Put our line in force; return whether anything was to do. May raise OSError."""
        return put(below(self.tree, self.place), f"{_HEAD}{line}\n")

    def take_out(self, line: Line, why: str) -> None:
        """Leave our file without a line that Slurm reads, what it was as a comment. May raise OSError."""
        put(below(self.tree, self.place), f"{_HEAD}# taken out: {' '.join(why.split())}\n{_OUT}{line}\n")

    def include(self) -> list[str]:
        """Have plugstack.conf include our place; raises ConfigError where it is a file of somebody else."""
        if self.included():
            return []
        wanted = f"include {self.place.parent}/*.conf"
        present = text_of(below(self.tree, self.path))
        if self.fetched or present is not None:
            where = "the controller's plugstack.conf" if self.fetched else str(self.path)
            raise ConfigError(f"{where} does not include {self.place}", hint=f"add the line `{wanted}` to it")
        put(below(self.tree, self.path), f"{wanted}\n")
        return [f"{self.path}: made, with `{wanted}`"]

    def comment_out(self, line: Line) -> None:
        """Make a comment of a line in a file that is not ours. May raise OSError."""
        file = below(self.tree, line.file)
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        kept = [
            f"# taken out by sifgate: {each}" if _parsed(each, line.file) == line else each
            for each in text.splitlines()
        ]
        put(file, "\n".join(kept) + "\n", file.stat().st_mode & 0o7777)

    def _patterns(self) -> Iterator[Path]:
        """Yield the globs that plugstack.conf itself includes, absolute; none that leads into what was fetched."""
        for text in _content(below(self.tree, self.path)):
            words = text.split()
            if len(words) > 1 and words[0].lower() == "include":
                pattern = self.path.parent / words[1]
                if not (self.fetched and pattern.is_relative_to(CONFIGLESS)):
                    yield pattern

    def _read(self, path: Path, seen: list[Path]) -> Iterator[Line]:
        """Yield the lines of a file and of what it includes, a file as often as it is included."""
        for text in _content(below(self.tree, path)):
            words = text.split()
            if len(words) > 1 and words[0].lower() == "include":
                for found in sorted(self.tree.glob(str(path.parent / words[1]).lstrip("/"))):
                    seen.append(Path("/") / found.relative_to(self.tree))
                    if len(seen) <= MAX_FILES:
                        yield from self._read(seen[-1], seen)
            elif (line := _parsed(text, path)) is not None:
                yield line


def _parsed(text: str, file: Path) -> Line | None:
    words = text.partition("#")[0].split()
    if len(words) < 2 or words[0].lower() not in {"required", "optional"}:  # noqa: PLR2004 - need and plugin
        return None
    return Line(words[0].lower(), words[1], tuple(words[2:]), file)


def _content(path: Path) -> list[str]:
    """Return the lines of a file without comments; nothing where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    return [line.partition("#")[0] for line in text.splitlines()]
