# SPDX-License-Identifier: Apache-2.0
"""Programs of the host that the testbed starts, and the Debian packages that bring them.

What is missing is named first, then installed if this is root on a Debian-like system; `SIFGATE_APT=0` forbids that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from testbed.errors import MissingPackages

PACKAGE_OF = {
    "debootstrap": "debootstrap",
    "dpkg-source": "dpkg-dev",
    "gcc": "gcc",
    "go": "golang-go",
    "make": "make",
    "mksquashfs": "squashfs-tools",
    "rpm": "rpm",
    "rpmbuild": "rpm",
    "unshare": "util-linux",
}
"""Program → the Debian package that brings it."""

SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Looked at after PATH: a user's PATH often lacks them."""


def find_program(name: str) -> str | None:
    """Return the path of a host program, or None."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATHS])
    return shutil.which(name, path=path)


def missing(*programs: str) -> tuple[str, ...]:
    """Return the Debian packages, sorted, of those programs that the host lacks."""
    return tuple(sorted({PACKAGE_OF[name] for name in programs if find_program(name) is None}))


def require(*programs: str) -> None:
    """Have these programs on the host: say which packages are missing and install them, or raise MissingPackages."""
    packages = missing(*programs)
    if not packages:
        return
    why = _why_not_installable()
    if why:
        raise MissingPackages(packages, why)
    print(f"testbed: installing missing Debian packages: {' '.join(packages)}", file=sys.stderr, flush=True)
    if not _install(packages):
        _apt_get("update", "-qq")
        if not _install(packages):
            raise MissingPackages(packages, "apt-get install failed, its output is above")
    still = missing(*programs)
    if still:
        raise MissingPackages(still, "installed, but their programs are still not found")


def _why_not_installable() -> str:
    """Return why nothing can be installed here, or an empty string."""
    if os.environ.get("SIFGATE_APT", "1") == "0":
        return "SIFGATE_APT=0 forbids installing them; install them yourself"
    if os.geteuid() != 0:
        return "only root can install them"
    if find_program("apt-get") is None:
        return "this host has no apt-get; install their counterparts"
    return ""


def _install(packages: tuple[str, ...]) -> bool:
    return _apt_get("install", "-y", "-qq", "--no-install-recommends", *packages)


def _apt_get(*words: str) -> bool:
    """Run apt-get without questions; its talk goes to stderr. A lock held by another run is waited for."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-o", "DPkg::Lock::Timeout=600", *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        check=False,
    )
    return done.returncode == 0
