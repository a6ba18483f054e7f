# SPDX-License-Identifier: Apache-2.0
"""A real rpm database with the packages of Red Hat's UBI 8 image, made of empty packages by Debian's rpm."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from testbed.cache import key_of
from testbed.filetrees import DATA, os_release, write_tree
from testbed.packages import require
from testbed.steps import run, step

MANIFEST = DATA / "images" / "rpm-manifest-ubi8_ubi.json.gz"
RECIPE = "1"
SPEC = """\
Name: {name}
Version: {version}
Release: {release}
Summary: {name}
License: none
BuildArch: noarch
%description
%files
"""
RHEL = (
    'NAME="Red Hat Enterprise Linux"\nID_LIKE="fedora"\nCPE_NAME="cpe:/o:redhat:enterprise_linux:8::baseos"'
)


def rpm_packages() -> tuple[tuple[str, str, str], ...]:
    """Return (name, version, release) of the packages, one each, sorted."""
    rows = json.loads(gzip.decompress(MANIFEST.read_bytes()))["rpms"]
    found = {
        row["name"]: (row["name"], row["version"], row["release"])
        for row in rows
        if row["name"] != "gpg-pubkey"
    }
    return tuple(found[name] for name in sorted(found))


def rpm_key() -> str:
    """Return the key of the fixture's cache entry."""
    return key_of(RECIPE, SPEC, RHEL, MANIFEST.read_bytes())


def build_rpm_tree(work: Path) -> None:
    """Make `work/rpm`: an os-release and `var/lib/rpm/rpmdb.sqlite`; no root needed, nothing is installed."""
    require("rpm", "rpmbuild")
    top, tree, log = work / "top", work / "rpm", work / "build.log"
    database = tree / "var/lib/rpm"
    database.mkdir(parents=True)
    top.mkdir()
    specs = []
    for name, version, release in rpm_packages():
        spec = top / f"{name}.spec"
        spec.write_text(SPEC.format(name=name, version=version, release=release))
        specs.append(str(spec))
    with step(f"building {len(specs)} empty rpm packages", 10):
        reproducible = ("--define", "_buildhost localhost", "--define", "source_date_epoch_from_changelog 0")
        run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", *reproducible, *specs], log)
        built = sorted(str(path) for path in top.glob("RPMS/noarch/*.rpm"))
        run(["rpm", "--dbpath", str(database), "--justdb", "--nodeps", "--nosignature", "-i", *built], log)
    for side in database.glob(".rpm.lock"):
        side.unlink()
    write_tree(os_release("rhel", "8.10", pretty="Red Hat Enterprise Linux 8.10 (Ootpa)", more=RHEL), tree)
