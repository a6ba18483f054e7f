# SPDX-License-Identifier: Apache-2.0
"""Packages that are built once for each content of the clone, and a machine to install them in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cache import cache_root, key_of, obtain
from testbed.packages import require
from tests.packaging.machine import Machine, booted

from sifpack.__main__ import NAMES, compile_parts, make_packages
from sifpack.python import SOURCE, build_wheel
from sifpack.series import SERIES

RECIPE = "3"
KEPT = 2
"""Built packages of earlier contents that stay in the cache."""


def _content() -> list[bytes]:
    """Return what packages are made of: names and bytes of the files that git knows or would add."""
    words = ["git", "-C", str(SOURCE), "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--",
             "src", "hooks", "plugin", "etc", "packaging", "requirements", "pyproject.toml"]  # fmt: skip
    names = subprocess.run(words, capture_output=True, check=True).stdout.split(b"\0")
    found = []
    for name in sorted(name for name in names if name):
        path = SOURCE / name.decode()
        if path.is_file():
            found += [name, path.read_bytes()]
    return found


def _make(work: Path) -> None:
    """Make debs in two revisions and rpms; the server's, whose environment is large, once and for one form."""
    require("gcc", "make", "rpmbuild")
    build = work / "build"
    build.mkdir()
    parts = compile_parts(build_wheel(work, sdist=False))
    nodes = [name for name in NAMES if name != "sifgate-server"]
    make_packages(SERIES["trixie"], parts, [1, 2], build, work, only=nodes)
    make_packages(SERIES["trixie"], parts, [1], build, work, only=["sifgate-server"])
    here = SERIES["el"]._replace(python="3.13")  # so that rpm can install them into the same tree
    make_packages(here, parts, [1], build, work, only=nodes)
    shutil.rmtree(build)


@pytest.fixture(scope="session")
def built() -> Path:
    """Return the directory with a wheel, debs (revisions 1 and 2) and rpms of this clone."""
    entry = obtain("packages", "trixie-el", key_of(RECIPE, *_content()), _make)
    others = [path for path in (cache_root() / "packages").iterdir() if path != entry]
    for old in sorted(others, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)
    return entry


@pytest.fixture(scope="module")
def machine(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Boot a machine that has the packages in /share; each module gets one of its own."""
    with booted(tmp_path_factory.mktemp("machine")) as found:
        for path in built.glob("*.deb"):
            shutil.copyfile(path, found.share / path.name)
        yield found
