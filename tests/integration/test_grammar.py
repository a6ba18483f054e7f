# SPDX-License-Identifier: Apache-2.0
"""The grammar against a real Apptainer: a launch of an image that does not exist tells which file it looked for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from testbed.rootfs import obtain_tree
from tests.unit.origin.test_apptainer import FORMS, UNREADABLE

from sifgate.origin import apptainer

pytestmark = [pytest.mark.root, pytest.mark.cluster]

ELSEWHERE = {
    "singularity 4 only",
    "apptainer 1.5 only",
    "old names",
    "root flag with value",
    "root flag glued",
    "root short glued",
}
"""Forms that this release does not have, or that need a configuration file before anything else."""


@pytest.fixture(scope="module")
def tree() -> Path:
    """Return a root tree with Apptainer."""
    return obtain_tree("trixie-apptainer")


def opened(tree: Path, line: str) -> str:
    """Return the image that a real Apptainer wanted to open; empty where it refused its command line."""
    words = line.replace("/opt/apptainer/1.4/bin/", "/usr/bin/").split()
    done = subprocess.run(
        ["chroot", str(tree), "env", "HOME=/nonexistent", *words],
        capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode != 0
    found = re.search(r"could not open image (/\S+): ", done.stderr)
    return found.group(1) if found else ""


@pytest.mark.parametrize("name", sorted(FORMS.keys() - ELSEWHERE))
def test_the_runtime_opens_what_the_parser_read(name: str, tree: Path) -> None:
    """For every form, the parser and the program agree on the file."""
    line, _ = FORMS[name]
    sighting = apptainer.read(line.split(), {}, "/")
    assert sighting is not None
    assert opened(tree, line) == sighting.reference.path


@pytest.mark.parametrize("line", UNREADABLE)
def test_the_runtime_refuses_what_the_parser_cannot_read(line: str, tree: Path) -> None:
    """Words that are unknown to us are an error to the program, too."""
    assert opened(tree, line) == ""
