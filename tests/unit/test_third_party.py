# SPDX-License-Identifier: Apache-2.0
"""What others made is listed: every locked dependency with the licence it states, every data file with its source."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from testbed.licences import LOCKS, licence, locked, normalised, several_versions, stated

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "THIRD_PARTY.md").read_text()
DATA_SUFFIXES = frozenset({".gz", ".zip", ".zst", ".csv", ".tsv", ".json", ".sif", ".squashfs"})


@pytest.mark.parametrize("lock", sorted(LOCKS.values()))
def test_every_locked_package_is_listed(lock: str) -> None:
    """No package comes in by a lock file without standing in THIRD_PARTY.md; `python -m testbed licences` adds it."""
    assert not set(locked(lock)) - stated().keys()


def test_listed_licences_are_those_that_packages_state() -> None:
    """The table says what the metadata of the installed packages says; none is left unknown."""
    table = stated()
    stable = table.keys() - several_versions()
    wrong = {name: (table[name], licence(name)) for name in stable if licence(name) not in {"", table[name]}}
    assert not wrong
    assert "not installed here" not in table.values()


def test_every_data_file_has_a_source_and_a_licence() -> None:
    """Each committed data file matches a row of the data table."""
    words = ["git", "-C", str(ROOT), "ls-files", "-z"]
    done = subprocess.run(words, capture_output=True, check=False) if shutil.which("git") else None
    if done is None or done.returncode != 0:
        pytest.skip("needs a git checkout")
    names = [name for name in done.stdout.decode().split("\0") if Path(name).suffix in DATA_SUFFIXES]
    section = DOCUMENT.partition("## 3.")[2]
    patterns = re.findall(
        r"`([^`]+)`", "".join(line.split("|")[1] for line in section.splitlines() if "|" in line)
    )
    unlisted = [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    assert not unlisted


def test_every_requirement_is_locked() -> None:
    """What pyproject.toml asks for stands in the lock file of all extras; `make lock` renews it."""
    asked = {
        normalised(re.split(r"[^\w.-]", text, maxsplit=1)[0]) for text in metadata.requires("sifgate") or []
    }
    assert not asked - {"sifgate"} - set(locked("dev.txt"))
