# SPDX-License-Identifier: Apache-2.0
"""Apptainer built from Debian's source package, since only such a build can load plugins: once, in two flavours.

The entry holds a layer to lay over the root tree `node`::

    layer/opt/apptainer/{unprivileged,setuid}/         what `make install` made
    layer/usr/src/apptainer/{unprivileged,setuid}/     the source that `apptainer plugin compile` wants
    layer/usr/src/apptainer/modules/                   Go's modules: nothing in the tree needs the network

The source is taken without Debian's patches: they rename imports to what Debian packages, which go.mod does not know.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from testbed.cache import key_of, obtain
from testbed.errors import NeedsRoot
from testbed.golang import go_root, go_version
from testbed.headers import download
from testbed.packages import find_program, require
from testbed.rootfs import TREES, obtain_tree
from testbed.steps import run, step

RECIPE = "1"
SUITE = "sid"
FLAVOURS = {"unprivileged": "--without-suid", "setuid": "--with-suid"}
SOURCES = Path("usr/src/apptainer")
PREFIXES = Path("opt/apptainer")
GO = Path("usr/local/go")
"""Where the tree sees the host's Go, which is too large to be copied."""
EXPECTED = 1500.0


def obtain_apptainer() -> Path:
    """Return the layer with both flavours, built on first use: a quarter of an hour on two idle cores; needs root."""
    if os.geteuid() != 0:
        raise NeedsRoot("Apptainer can only be built from source by root")
    require("go", "dpkg-source", "unshare")
    key = key_of(RECIPE, SUITE, TREES["node"].key, go_version(), *FLAVOURS.values())
    return obtain("apptainer", "source", key, _build) / "layer"


def _build(work: Path) -> None:
    layer, log = work / "layer", work / "build.log"
    for directory in ("layer", "overlay", "root", "scratch"):
        (work / directory).mkdir()
    (layer / SOURCES).mkdir(parents=True)
    (layer / PREFIXES).mkdir(parents=True)
    with step("fetching the source of Apptainer and its Go modules", 60):
        for flavour in FLAVOURS:
            _unpack(work, layer / SOURCES / flavour)
        _fetch_modules(layer / SOURCES, log)
    with step("compiling Apptainer in two flavours", EXPECTED):
        run(
            [*_NAMESPACES, "sh", "-c", _ENTER, "enter", str(work), str(obtain_tree("node")), str(go_root())],
            log,
        )
    for left in ("overlay", "root", "scratch", "source"):
        shutil.rmtree(work / left)


def _unpack(work: Path, target: Path) -> None:
    """Unpack the source as its authors published it, and say its version, which they take from git."""
    source = work / "source"
    if not source.exists():
        source.mkdir()
        download(SUITE, "apptainer", source, source=True)
    description = next(source.glob("*.dsc"))
    run(["dpkg-source", "--skip-patches", "-x", str(description), str(target)], work / "build.log")
    version = description.name.removeprefix("apptainer_").removesuffix(".dsc").partition("-")[0]
    (target / "VERSION").write_text(f"{version}\n")


def _fetch_modules(sources: Path, log: Path) -> None:
    """Fetch on the host, which has network, proxies and certificates; checked against the source's own go.sum."""
    environment = {
        "GOMODCACHE": str(sources / "modules"),
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOTOOLCHAIN": "local",
    }
    run([find_program("go") or "go", "mod", "download"], log, environment, cwd=sources / next(iter(FLAVOURS)))


_NAMESPACES = (
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--fork",
    "--kill-child",
    "--net",
    "--",
)
# Both flavours share one object cache: what reads the generated config.h is compiled with a path of the flavour in its
# flags. So `make` need not empty that cache before it compiles the starter, which .clean-starter would have it do.
_MAKE = " && ".join(
    f"cd /{SOURCES}/{flavour} && ./mconfig -P release {option} --without-seccomp --without-libsubid"
    f" -p /{PREFIXES}/{flavour}"
    " && touch builddir/.clean-starter && make -C builddir GOPROXY=off && make -C builddir GOPROXY=off install"
    for flavour, option in FLAVOURS.items()
)
_ENTER = f"""
set -e
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/layer,workdir=$1/overlay" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mkdir -p "$1/root/{GO}" "$1/root/mnt"
mount --bind "$3" "$1/root/{GO}"
mount --bind "$1/scratch" "$1/root/mnt"
export PATH=/{GO}/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt TMPDIR=/mnt GOCACHE=/mnt/objects GOPATH=/mnt/go
export GOMODCACHE=/{SOURCES}/modules GOTOOLCHAIN=local GOTELEMETRY=off GONOSUMDB='*' GOFLAGS=-modcacherw LC_ALL=C.UTF-8
exec chroot "$1/root" /bin/sh -c '{_MAKE}'
"""
