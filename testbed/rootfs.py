# SPDX-License-Identifier: Apache-2.0
"""Root trees made by debootstrap from the host's own Debian mirror; treat them as read-only.

A tree lies in the cache as `rootfs/NAME-KEY/tree`. Enter one through an overlay or a copy, never write into it:
demo, tests and bench share it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import key_of, obtain
from testbed.errors import NeedsRoot, TestbedError
from testbed.mirror import KEYRING, debian_mirror, proxy_environment
from testbed.packages import find_program, require
from testbed.steps import run, step

RECIPE = "3"
"""Raise it when the way of building changes: it is part of every key."""


@dataclass(frozen=True)
class Tree:
    """What one root tree is made of."""

    name: str
    suite: str
    packages: tuple[str, ...] = ()
    """Installed from `suite`, without recommended packages."""
    from_sid: tuple[str, ...] = ()
    """Installed from sid with what they need from there; everything else stays at `suite`."""
    expected: float = 40
    """Usual seconds of the build on two cores."""
    cleaned: bool = True
    """Without apt's downloads; most authors of images forget them, so the reference image keeps them."""

    @property
    def key(self) -> str:
        """Return the key of its cache entry."""
        return key_of(
            RECIPE, self.suite, *self.packages, "sid:", *self.from_sid, *(() if self.cleaned else ("whole",))
        )


SCIENCE = (
    "mrtrix3",
    "dcm2niix",
    "python3-nibabel",
    "python3-scipy",
    "nifti-bin",
    "git",
    "curl",
    "imagemagick",
    "octave",
)
CLUSTER = (
    *("slurm-wlm", "slurm-wlm-basic-plugins", "munge", "libslurm-dev", "python3", "gcc", "libc6-dev", "make"),
    *(
        "iproute2",
        "procps",
        "psmisc",
        "uidmap",
        "fuse3",
        "squashfuse",
        "squashfs-tools",
        "fuse-overlayfs",
        "strace",
    ),
    *("fuse2fs", "gocryptfs", "busybox-static"),
    *("podman", "crun", "runc", "skopeo", "docker-registry"),  # the doors of OCI; a registry on loopback
    *("systemd", "logrotate"),  # units are judged by systemd-analyze, packages are installed
)
SERIES = (
    *("slurm-wlm", "slurm-wlm-basic-plugins", "munge", "python3-minimal"),
    *("iproute2", "procps", "psmisc", "strace"),
)
"""A node of another series of Slurm: no container runtime, for what is tested there are the plugin and the prolog."""
TREES = {
    tree.name: tree
    for tree in (
        Tree("node", "trixie", CLUSTER, ("apptainer",), 140),
        Tree("node-2205", "bookworm", SERIES, (), 60),
        Tree("node-2605", "sid", SERIES, (), 60),
        Tree("bullseye-sci", "bullseye", SCIENCE, (), 100, cleaned=False),
        Tree("bullseye-kev", "bullseye", ("git", "libfreetype6")),
        Tree("bullseye-min", "bullseye"),
        Tree("trixie", "trixie"),
        Tree("trixie-apptainer", "trixie", (), ("apptainer",), 60),
    )
}


def obtain_tree(name: str) -> Path:
    """Return the path of a root tree, built on first use; raise NeedsRoot or MissingPackages where that cannot be."""
    tree = TREES.get(name)
    if tree is None:
        raise TestbedError(f"no root tree is called {name}; there are {', '.join(sorted(TREES))}")
    return obtain("rootfs", tree.name, tree.key, lambda work: _build(tree, work)) / "tree"


def _build(tree: Tree, work: Path) -> None:
    if os.geteuid() != 0:
        raise NeedsRoot(f"the root tree {tree.name} can only be built by root")
    require("debootstrap", "unshare")
    root, log, old_mask = work / "tree", work / "build.log", os.umask(0o022)
    try:
        with step(f"building the root tree {tree.name}", tree.expected):
            _debootstrap(tree.suite, root, log)
            _install(tree, root, log)
            _clean(root, downloads=tree.cleaned)
    finally:
        os.umask(old_mask)


def _debootstrap(suite: str, root: Path, log: Path) -> None:
    """Make the smallest tree of a suite; without a Debian mirror on this host, debootstrap's own default serves."""
    mirror = debian_mirror()
    words = [find_program("debootstrap") or "debootstrap", "--variant=minbase"]
    if KEYRING.exists():
        words.append(f"--keyring={KEYRING}")
    if mirror.startswith("https:"):
        words.append("--include=ca-certificates")
    run([*_NAMESPACES, *words, suite, str(root), *([mirror] if mirror else [])], log, proxy_environment())


def _install(tree: Tree, root: Path, log: Path) -> None:
    if not (tree.packages or tree.from_sid):
        return
    forbid = root / "usr/sbin/policy-rc.d"
    forbid.write_text("#!/bin/sh\nexit 101\n")  # invoke-rc.d(8): starting is forbidden
    forbid.chmod(0o755)
    if tree.packages:
        _chroot(root, log, f"apt-get {_LAGGING if tree.suite == 'sid' else ''} update")
        _chroot(root, log, f"{_APT_INSTALL} {' '.join(tree.packages)}")
    if tree.from_sid:
        _add_sid(tree, root)
        _chroot(root, log, "apt-get update")
        _chroot(root, log, f"{_APT_INSTALL} {' '.join(tree.from_sid)}")
    forbid.unlink()


def _add_sid(tree: Tree, root: Path) -> None:
    """Add sid with a priority below the tree's own suite, and above it for the packages wanted from there.

    Mirrors may lag: sid's index is only valid for a week, so its age is not checked here (its signature is).
    """
    words = (root / "etc/apt/sources.list").read_text().split()
    (root / "etc/apt/sources.list.d/sid.list").write_text(f"deb [check-valid-until=no] {words[1]} sid main\n")
    pins = [("*", 100), *((package, 990) for package in tree.from_sid)]
    stanzas = [
        f"Package: {package}\nPin: release n=sid\nPin-Priority: {priority}\n" for package, priority in pins
    ]
    (root / "etc/apt/preferences.d/sid").write_text("\n".join(stanzas))


_NAMESPACES = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--")
"""A killed build leaves no process and no mount."""
_LAGGING = "-o Acquire::Check-Valid-Until=false"
"""A lagging mirror's index of sid may be past its week; its signature is checked all the same."""
_APT_INSTALL = "apt-get install -y -q --no-install-recommends -o DPkg::Options::=--force-unsafe-io"
_ENTER = """
set -e
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" /bin/sh -c "$2"
"""


def _chroot(root: Path, log: Path, command: str) -> None:
    """Run a shell command inside the tree, in mount and pid namespaces of its own: nothing stays mounted or running."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        "PATH": path,
        "HOME": "/root",
        "TMPDIR": "/tmp",  # noqa: S108 - inside the tree
    }
    shell = ("sh", "-c", _ENTER, "enter", str(root), command)
    run([*_NAMESPACES, *shell], log, environment | proxy_environment())


def _clean(root: Path, *, downloads: bool) -> None:
    """Remove what depends on the host: name resolution; and apt's downloads and the logs, if wanted."""
    patterns = ("var/cache/apt/archives/*.deb", "var/cache/apt/*.bin", "var/lib/apt/lists/*", "var/log/*.log")
    for pattern in patterns if downloads else ():
        for path in root.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name in ("etc/resolv.conf", "etc/hostname"):
        (root / name).write_text("")
