# SPDX-License-Identifier: Apache-2.0
"""What stops packaging."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_TAIL = 25


class PackagingError(Exception):
    """A step could not be done; its text says which, and what to do."""


def run(
    words: Sequence[str], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return what it printed; raises PackagingError with the end of it on failure."""
    try:
        done = subprocess.run(
            list(words), cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="backslashreplace", check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise PackagingError(f"{words[0]}: is not installed") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-_TAIL:])
        raise PackagingError(f"{' '.join(words[:4])} … ended with {done.returncode}:\n{tail}")
    return done.stdout


def say(text: str) -> None:
    """Say on standard error what goes on."""
    print(f"package: {text}", file=sys.stderr, flush=True)
