# SPDX-License-Identifier: Apache-2.0
"""The hostile images: what a case is, the honest tree that they are made of, how they are written.

The cases stand in bad_files.py (the file as a whole, SIF, polyglots) and bad_trees.py (squashfs, names, links).
Each writes its image into a directory and returns what is opened. Sizes are small: what is huge only says so.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from testbed import sif
from tests.unit.image.squashwriter import Directory, File, Link, Node, tree, write

OS_RELEASE = (
    b'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'
)
STATUS = b"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n"
APK = b"P:musl\nV:1.1.19-r10\nA:x86_64\n\n"


@dataclass(frozen=True)
class Case:
    """One bad image."""

    name: str
    make: Callable[[Path], Path]
    expected: str
    """A cause, or `omitted CODE`, or `contradiction CODE`."""


def debian(extra: dict[str, Node] | None = None) -> Directory:
    """Return a small honest Debian tree, with more in it."""
    files: dict[str, Node] = {
        "etc/os-release": Link(b"../usr/lib/os-release"),
        "usr/lib/os-release": File(OS_RELEASE),
        "var/lib/dpkg/status": File(STATUS),
        "var/lib/dpkg/info/bash.list": File(b"/bin/bash\n"),
    }
    return tree({**files, **(extra or {})})


def without(*paths: str) -> Directory:
    """Return the small tree without some of its files."""
    root = debian()
    for path in paths:
        *parents, last = path.encode().split(b"/")
        here = root
        for name in parents:
            below = dict(here.entries)[name]
            assert isinstance(below, Directory)
            here = below
        here.entries = [entry for entry in here.entries if entry[0] != last]
    return root


CASES: list[Case] = []


def case(expected: str) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Register a generator under its name."""

    def register(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        CASES.append(Case(make.__name__, make, expected))
        return make

    return register


def as_file(directory: Path, data: bytes) -> Path:
    """Write bytes as they are."""
    path = directory / "image.sif"
    path.write_bytes(data)
    return path


def in_sif(directory: Path, root: Directory | bytes, *more: sif.SifObject, kind: int = sif.SQUASHFS) -> Path:
    """Write a SIF with this as its primary partition."""
    path = directory / "image.sif"
    data = root if isinstance(root, bytes) else write(root)
    sif.write_sif(path, [sif.partition(data, kind), *more])
    return path


def patched(path: Path, offset: int, data: bytes) -> Path:
    """Change bytes of a file and return it."""
    with path.open("r+b") as image:
        image.seek(offset)
        image.write(data)
    return path


def jar(members: dict[str, bytes]) -> bytes:
    """Return a deflated archive."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()
