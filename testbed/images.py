# SPDX-License-Identifier: Apache-2.0
"""The named images of demo, tests and bench: `obtain_image("bullseye-sci.sif")` returns a path, built on first use.

| name | what |
|---|---|
| `bullseye-sci.sif`, `bullseye-min.sif`, `trixie.sif` | root trees made by debootstrap, as SIF (gzip) |
| `bullseye-kev.sif` | the smallest Debian 11 with git and freetype: two known-exploited vulnerabilities |
| `trixie-go.sif` | trixie with Debian's apptainer (Go) and a virtual environment of old wheels |
| `centos-7-runs.sif` | CentOS 7's os-release around a static busybox: an unsupported image that can be started |
| any name of `filetrees.FILE_TREES`, `rpm` | a directory of package data |
| the same with `.sif` | that directory as SIF |
| `trixie-go`, `centos-7-runs` | the directories behind `trixie-go.sif` and `centos-7-runs.sif` |
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from testbed.cache import key_of, obtain
from testbed.errors import TestbedError
from testbed.filetrees import FILE_TREES, Link, Tree, centos, old_wheels, write_tree
from testbed.rootfs import TREES, obtain_tree
from testbed.rpm import build_rpm_tree, rpm_key
from testbed.squashfs import make_sif
from testbed.steps import step

RECIPE = "1"
"""Raise it when the way of packing changes: it is part of every key."""
ROOT_IMAGES = ("bullseye-kev", "bullseye-min", "bullseye-sci", "trixie")
"""Images that pack the root tree of the same name."""
PACKING_SECONDS = {"bullseye-sci": 60, "bullseye-kev": 15, "bullseye-min": 10, "trixie": 10, "trixie-go": 20}
SMALL = Path(__file__).resolve().parent / "data" / "bullseye-sci-packages.sif"
"""A committed image for those who have neither root nor mksquashfs: the package data of bullseye-sci."""


def image_names() -> tuple[str, ...]:
    """Return every name that can be asked for, sorted."""
    directories = [*FILE_TREES, "rpm", *DERIVED]
    return tuple(sorted([*directories, *(f"{name}.sif" for name in [*directories, *ROOT_IMAGES])]))


def obtain_image(name: str) -> Path:
    """Return the path of an image: a SIF if the name ends so, else a directory."""
    if name not in image_names():
        raise TestbedError(f"no image is called {name}; there are {', '.join(image_names())}")
    key, build = _directory_recipe(name.removesuffix(".sif"))
    if name.endswith(".sif"):
        key, build = key_of(RECIPE, key), _packing(name)
    return obtain("images", name, key, build) / name


def _directory_recipe(name: str) -> tuple[str, Callable[[Path], None]]:
    """Return key and builder of the directory behind an image."""
    if name in ROOT_IMAGES:
        return TREES[name].key, lambda _: None
    if name == "rpm":
        return rpm_key(), build_rpm_tree
    if name in DERIVED:
        source, added, build = DERIVED[name]
        return key_of(RECIPE, TREES[source].key, repr(added())), build
    tree = FILE_TREES[name]()
    recipe = [
        f"{path}={content.target if isinstance(content, Link) else content!r}"
        for path, content in tree.items()
    ]
    return key_of(RECIPE, *recipe), lambda work: _write(name, work)


def _write(name: str, work: Path) -> None:
    write_tree(FILE_TREES[name](), work / name)


def _packing(name: str) -> Callable[[Path], None]:
    """Return a builder that packs the directory behind `name`."""

    def build(work: Path) -> None:
        inner = name.removesuffix(".sif")
        source = obtain_tree(inner) if inner in ROOT_IMAGES else obtain_image(inner)
        with step(f"packing {name}", PACKING_SECONDS.get(inner, 0)):
            make_sif(source, work / name)

    return build


def _build_trixie_go(work: Path) -> None:
    source = obtain_tree("trixie-apptainer")
    with step("copying the root tree of trixie-go"):
        shutil.copytree(source, work / "trixie-go", symlinks=True, ignore=_devices)
        write_tree(old_wheels(), work / "trixie-go")


def _build_centos_runs(work: Path) -> None:
    """Make a root tree that starts: one static program under many names, the places that a runtime mounts on."""
    root = write_tree(centos(), work / "centos-7-runs")
    for name in ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr/bin", "var/tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy2(obtain_tree("node") / "usr/bin/busybox", root / "bin/busybox")
    for applet in (
        "sh",
        "ls",
        "cat",
        "id",
        "head",
        "echo",
        "true",
        "false",
        "sleep",
        "uname",
        "env",
        "hostname",
    ):
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")


def _devices(directory: str, names: list[str]) -> list[str]:
    """Return the names of the device nodes and the like, which no image needs."""
    places = ((name, os.path.join(directory, name)) for name in names)  # noqa: PTH118 - copytree speaks strings
    return [name for name, path in places if not os.path.islink(path) and _is_special(path)]  # noqa: PTH114


def _is_special(path: str) -> bool:
    return not (os.path.isfile(path) or os.path.isdir(path))  # noqa: PTH112,PTH113


DERIVED: dict[str, tuple[str, Callable[[], Tree], Callable[[Path], None]]] = {
    "centos-7-runs": ("node", centos, _build_centos_runs),
    "trixie-go": ("trixie-apptainer", old_wheels, _build_trixie_go),
}
"""Directory → the root tree it takes from, what is added, and its builder."""
