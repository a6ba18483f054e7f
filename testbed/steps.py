# SPDX-License-Identifier: Apache-2.0
"""Long steps with signs of life, and foreign programs whose output is kept for the day they fail."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError

TALK_EVERY = 30.0
"""Seconds between signs of life where there is no terminal."""
TAIL_LINES = 25


@contextmanager
def step(text: str, expected: str = "") -> Iterator[None]:
    """Say on stderr what goes on, for how long already, and how long it took; `expected` is a rough duration."""
    label = f"{text} (about {expected})" if expected else text
    began = time.monotonic()
    done = threading.Event()
    talker = threading.Thread(target=_talk, args=(label, began, done), daemon=True)
    talker.start()
    try:
        yield
    finally:
        done.set()
        talker.join()
    _say(f"testbed: {text}: {time.monotonic() - began:.1f} s\n")


def _talk(label: str, began: float, done: threading.Event) -> None:
    terminal = sys.stderr.isatty()
    _say(f"testbed: {label} …" + ("" if terminal else "\n"))
    while not done.wait(1.0 if terminal else TALK_EVERY):
        seconds = time.monotonic() - began
        _say(f"\rtestbed: {label} … {seconds:.0f} s" if terminal else f"testbed: {label} … {seconds:.0f} s\n")
    if terminal:
        _say("\r\033[K")


def _say(text: str) -> None:
    sys.stderr.write(text)
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
