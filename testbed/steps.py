# SPDX-License-Identifier: Apache-2.0
"""Long steps with signs of life, and foreign programs whose output is kept for the day they fail.

On a terminal every running step has a bar, against the time that it usually takes; elsewhere a line now and then.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from testbed.errors import TestbedError

TALK_EVERY = 30.0
"""Seconds between signs of life where there is no terminal."""
TAIL_LINES = 25
NEARLY = 0.97
"""How far a bar goes before its step has ended."""


class Board:
    """The bars of all running steps; steps may run in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._progress: Progress | None = None

    @contextmanager
    def row(self, text: str, expected: float) -> Iterator[None]:
        """Show a bar as long as the context lasts; `expected` in seconds, 0 for not known."""
        with self._lock:
            if self._progress is None:
                columns = (
                    SpinnerColumn(),
                    TextColumn("{task.description}"),
                    BarColumn(),
                    TimeElapsedColumn(),
                )
                self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
                self._progress.start()
            progress = self._progress
            self._running += 1
        task = progress.add_task(text, total=expected or None)
        done = threading.Event()
        mover = threading.Thread(target=_move, args=(progress, task, expected, done), daemon=True)
        mover.start()
        try:
            yield
        finally:
            done.set()
            mover.join()
            progress.remove_task(task)
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1
            if not self._running and self._progress is not None:
                self._progress.stop()
                self._progress = None


def _move(progress: Progress, task: object, expected: float, done: threading.Event) -> None:
    began = time.monotonic()
    while not done.wait(0.5):
        progress.update(task, completed=min(time.monotonic() - began, expected * NEARLY))  # type: ignore[arg-type]


BOARD = Board()


@contextmanager
def step(text: str, expected: float = 0) -> Iterator[None]:
    """Say on stderr what goes on and, at its end, how long it took; `expected` is the usual duration in seconds."""
    began = time.monotonic()
    with BOARD.row(text, expected) if sys.stderr.isatty() else _lines(text, expected):
        yield
    _say(f"testbed: {text}: {time.monotonic() - began:.1f} s")


@contextmanager
def _lines(text: str, expected: float) -> Iterator[None]:
    label = f"{text} (about {expected:.0f} s)" if expected else text
    done = threading.Event()
    talker = threading.Thread(target=_talk, args=(label, done), daemon=True)
    talker.start()
    try:
        yield
    finally:
        done.set()
        talker.join()


def _talk(label: str, done: threading.Event) -> None:
    began = time.monotonic()
    _say(f"testbed: {label} …")
    while not done.wait(TALK_EVERY):
        _say(f"testbed: {label} … {time.monotonic() - began:.0f} s")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(
    argv: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a program to its end, output appended to `log`; raise TestbedError with the end of it on failure."""
    with log.open("ab") as output:
        output.write(f"$ {' '.join(argv)}\n".encode())
        output.flush()
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            check=False,
        )
    if done.returncode != 0:
        lines = log.read_text(errors="backslashreplace").splitlines()[-TAIL_LINES:]
        raise TestbedError(
            f"{argv[0]} ended with {done.returncode}; the end of its output:\n" + "\n".join(lines)
        )
