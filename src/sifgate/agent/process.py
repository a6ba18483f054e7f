# SPDX-License-Identifier: Apache-2.0
"""Which process a launch belongs to: pid and start time name one process for good, as far as one boot goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
"""Clock ticks of a second."""
_LONGEST = 8192
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
    line = read_proc(f"{proc}/{pid}/stat")
    words = line[line.rfind(b")") + 1 :].split(None, _FIELDS)
    if len(words) < _FIELDS:
        return None
    try:
        return Process(pid, int(words[19]), int(words[1]), max(0, int(words[3])))
    except ValueError:
        return None


def read_proc(path: str) -> bytes:
    """Return the head of a file of /proc; empty where there is none. Two system calls less than a file object."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _LONGEST)
    except OSError:  # the process has just ended
        return b""
    finally:
        os.close(descriptor)


def lineage(pid: int, generations: int, proc: str = "/proc") -> Iterator[Process]:
    """Yield the process and so many of its ancestors, as far as there are any."""
    for _ in range(generations + 1):
        process = process_of(pid, proc) if pid > 1 else None
        if process is None:
            return
        yield process
        pid = process.parent
