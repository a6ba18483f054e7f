# SPDX-License-Identifier: Apache-2.0
"""Sorts more lines than fit into memory: runs on disk, merged as they are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import merge
from pathlib import Path
from typing import BinaryIO

RUN_BYTES = 8 << 20
"""Of one run; Python needs some four times as much while it is sorted."""
FAN_IN = 64
"""Runs that are merged at a time."""


class Spool:
    """Lines go in in any order and come out sorted; its files are gone when it is closed."""

    def __init__(self, directory: Path | None = None, *, run_bytes: int = RUN_BYTES) -> None:
        """Keep runs in a new directory below `directory`, the system's for temporary files without one."""
        self._directory = tempfile.TemporaryDirectory(prefix="sifgate-sort-", dir=directory)
        self._run_bytes = run_bytes
        self._lines: list[bytes] = []
        self._held = 0
        self._made = 0
        self._runs: list[Path] = []

    def close(self) -> None:
        """Remove all files."""
        self._directory.cleanup()

    def add(self, line: bytes) -> None:
        """Take one line, which ends in a newline and holds no other."""
        self._lines.append(line)
        self._held += len(line)
        if self._held >= self._run_bytes:
            self._flush()

    def runs(self) -> list[Path]:
        """Return the sorted files that hold all lines so far, for `merged`."""
        self._flush()
        return list(self._runs)

    def _flush(self) -> None:
        if not self._lines:
            return
        self._lines.sort()
        self._runs.append(self._written(self._lines))
        self._lines, self._held = [], 0
        if len(self._runs) >= FAN_IN:
            whole = self._written(merged(self._runs))
            for run in self._runs:
                run.unlink()
            self._runs = [whole]

    def _written(self, lines: Iterable[bytes]) -> Path:
        self._made += 1
        path = Path(self._directory.name) / f"{self._made}.run"
        with path.open("wb", buffering=1 << 18) as file:
            file.writelines(lines)
        return path


def merged(runs: Iterable[Path]) -> Iterator[bytes]:
    """Yield the lines of sorted files in order."""
    with ExitStack() as stack:
        files: list[BinaryIO] = [stack.enter_context(run.open("rb", buffering=1 << 17)) for run in runs]
        yield from merge(*files)
