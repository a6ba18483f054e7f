# SPDX-License-Identifier: Apache-2.0
"""Which process a launch belongs to: pid and start time name one process for good, as far as one boot goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_LONGEST = 4096
_FIELDS = 20
"""Fields of /proc/PID/stat after the name, up to the start time (proc_pid_stat(5))."""


class Process(NamedTuple):
    """One process, as /proc tells of it."""

    pid: int
    started: int
    """Clock ticks after boot."""
    parent: int
    session: int


def process_of(pid: int, proc: str = "/proc") -> Process | None:
    """Return what the kernel says of a process; None where there is none any more."""
    try:
        with open(f"{proc}/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - on the hot path
            line = file.read(_LONGEST)
    except OSError:
        return None
    words = line[line.rfind(b")") + 1 :].split()
    if len(words) < _FIELDS or not all(words[index].isdigit() for index in (1, 19)):
        return None
    return Process(pid, int(words[19]), int(words[1]), int(words[3]) if words[3].isdigit() else 0)


def lineage(process: Process, generations: int, proc: str = "/proc") -> Iterator[Process]:
    """Yield the process and so many of its ancestors."""
    yield process
    for _ in range(generations):
        parent = process_of(process.parent, proc) if process.parent > 1 else None
        if parent is None:
            return
        process = parent
        yield process
