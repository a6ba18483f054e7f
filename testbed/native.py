# SPDX-License-Identifier: Apache-2.0
"""The C sources compiled with every warning an error, against the headers of each series of Slurm."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.errors import TestbedError
from testbed.headers import SUITE_OF, obtain_headers
from testbed.packages import require

PLUGIN = Path(__file__).resolve().parent.parent / "plugin"


def check_warnings() -> int:
    """Return 0 if all compile; headers that cannot be had here are named and left out."""
    require("gcc", "make")
    return max([0, *(_compile(series) for series in SUITE_OF)])


def _compile(series: str) -> int:
    try:
        include = obtain_headers(series)
    except TestbedError as error:
        print(f"Slurm {series}: not compiled: {error}", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(prefix="sifgate-lint-") as out:
        words = ["make", "--silent", "-C", str(PLUGIN), f"OUT={out}", f"SLURM_INCLUDE={include}"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, check=False)
    print(f"Slurm {series}: {'no warning' if done.returncode == 0 else 'failed'}", flush=True)
    return done.returncode
