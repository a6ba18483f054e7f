# SPDX-License-Identifier: Apache-2.0
"""The offline bundle: one archive with everything that a site without network needs, and its checksums.

::

    sifgate-0.1.0-offline-x86_64/
        install.sh          installs roles (server, node, …) from this directory alone
        SHA256SUMS          of every other file
        packages/deb, rpm   for each release
        wheels/3.13         of server and engine, for sites that install by pip
        clair/KEY/          Clair and clairctl, as `sifgate up` would have built them
        advisories/         for Clair; `advisories.gz` of the site's own making, else what ships with sifgate
        mapping/            Red Hat's repository-to-cpe.json, if it was given
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sifgate.engine.clairbuild import PROGRAMS, digest, ensure_clair
from sifpack.errors import PackagingError, run
from sifpack.python import SOURCE, fetch_wheels, version
from sifpack.series import Series, machine


class Content(NamedTuple):
    """What goes in beside the tools of this clone."""

    packages: Sequence[Path]
    wheel: Path
    series: Sequence[Series]
    clair: Path
    """The cache where Clair is, or is built."""
    advisories: Path | None = None
    """Made by `clairctl export-updaters`."""
    mapping: Path | None = None
    """Red Hat's repository-to-cpe.json."""


def assemble(out: Path, content: Content) -> Path:
    """Make the bundle's archive in `out`; return it."""
    name = f"sifgate-{version()}-offline-{machine()}"
    home = out / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for package in content.packages:
        _copy(package, home / "packages" / package.suffix[1:] / package.name)
    for each in content.series:
        fetch_wheels(home / "wheels" / each.python, each)
        _copy(content.wheel, home / "wheels" / each.python / content.wheel.name)
    _add_clair(home, content.clair)
    _add_data(home, content)
    _copy(SOURCE / "packaging/offline/install.sh", home / "install.sh")
    (home / "install.sh").chmod(0o755)
    _checksums(home)
    archive = out / f"{name}.tar.zst"
    archive.unlink(missing_ok=True)
    run(["tar", "--create", "--zstd", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--file",
         str(archive), "--directory", str(out), name])  # fmt: skip
    shutil.rmtree(home)
    return archive


def _add_clair(home: Path, cache: Path) -> None:
    for program in PROGRAMS:
        built = ensure_clair(cache, program=program)
        target = home / "clair" / built.parent.name / program
        _copy(built, target)
        target.chmod(0o755)
        _copy(built.with_name(f"{program}.sha256"), target.with_name(f"{program}.sha256"))


def _add_data(home: Path, content: Content) -> None:
    """Add advisories and mapping that were given; the ones that ship with sifgate are in the server's package."""
    for file, place in (
        (content.advisories, "advisories/advisories"),
        (content.mapping, "mapping/repository-to-cpe"),
    ):
        if file is None:
            continue
        if not file.is_file():
            raise PackagingError(f"{file}: no such file")
        _copy(file, home / (place + (".json" if place.startswith("mapping") else ".gz")))
    shipped = SOURCE / "src/sifgate/engine/data"
    for source in sorted(path for path in shipped.rglob("*") if path.is_file()):
        _copy(source, home / "advisories/builtin" / source.relative_to(shipped))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _checksums(home: Path) -> None:
    files = sorted(path for path in home.rglob("*") if path.is_file())
    (home / "SHA256SUMS").write_text("".join(f"{digest(path)}  {path.relative_to(home)}\n" for path in files))
