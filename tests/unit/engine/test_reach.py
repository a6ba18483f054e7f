# SPDX-License-Identifier: Apache-2.0
"""Programs of ours run as other uids even where the interpreter lies in a directory of root's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sifgate.engine import reach


@pytest.mark.root
def test_what_is_in_the_way(short: Path) -> None:
    """The topmost closed directory is named with everything below it that is needed."""
    (short / "closed" / "python").mkdir(parents=True)
    (short / "open").mkdir()
    (short / "closed").chmod(0o700)
    assert reach.blocked([short / "open", short / "closed" / "python"]) == {
        short / "closed": [short / "closed" / "python"]
    }


@pytest.mark.root
def test_uid_is_taken_and_the_rest_stays_hidden() -> None:
    """The program has uid, gid, groups as asked for, can import our package, and sees no other file of root's."""
    code = """
import os, sifgate.engine.mirror
print(os.getuid(), os.getgid(), os.getgroups(), os.listdir('/root') if os.access('/root', os.R_OK) else [])
"""
    done = subprocess.run(
        reach.command([sys.executable, "-I", "-c", code], 61001, 61002, [61003]),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("61001 61002 [61003]")
    assert ".bash" not in done.stdout
    assert ".cache" not in done.stdout
