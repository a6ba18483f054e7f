# SPDX-License-Identifier: Apache-2.0
"""The C sources compiled with every warning an error; the plugin against the headers of each series of Slurm."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.errors import TestbedError
from testbed.headers import SUITE_OF, obtain_headers
from testbed.packages import require

REPOSITORY = Path(__file__).resolve().parent.parent


def check_warnings() -> int:
    """Return 0 if all compile; headers that cannot be had here are named and left out."""
    require("gcc", "make")
    return max([_hooks(), *(_compile(series) for series in SUITE_OF)])


def _hooks() -> int:
    return _make("hooks", "hooks")


def _compile(series: str) -> int:
    try:
        include = obtain_headers(series)
    except TestbedError as error:
        print(f"Slurm {series}: not compiled: {error}", file=sys.stderr)
        return 0
    return _make("plugin", f"Slurm {series}", f"SLURM_INCLUDE={include}")


def _make(directory: str, name: str, *settings: str) -> int:
    with tempfile.TemporaryDirectory(prefix="sifgate-lint-") as out:
        words = ["make", "--silent", "-C", str(REPOSITORY / directory), f"OUT={out}", *settings]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, check=False)
    print(f"{name}: {'no warning' if done.returncode == 0 else 'failed'}", flush=True)
    return done.returncode
