# SPDX-License-Identifier: Apache-2.0
"""The command line as its users run it: a process, below a root of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Outcome(NamedTuple):
    """What one run left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return stdout as JSON."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def root() -> Iterator[Path]:
    """Yield an empty root with its directories, short enough for the 108 bytes of a socket's address."""
    with tempfile.TemporaryDirectory(prefix="cli-") as directory:
        path = Path(directory)
        for name in ("etc", "run", "state", "log"):
            (path / name).mkdir(parents=True)
        yield path


@pytest.fixture
def sifgate(root: Path) -> Run:
    """Return a function that runs the command line to its end."""

    def run(*words: str | bytes, cwd: Path | None = None, **environment: str) -> Outcome:
        command: list[str | bytes] = [sys.executable, "-m", "sifgate.cli.main", "--root", str(root), *words]
        done = subprocess.run(
            command, capture_output=True, timeout=60, check=False, cwd=cwd, env={**os.environ, **environment}
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a file that stands for an image."""
    path = tmp_path / "x.sif"
    path.write_bytes(b"image")
    return path
