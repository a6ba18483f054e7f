# SPDX-License-Identifier: Apache-2.0
"""Slurm's headers of several releases, unpacked from Debian's libslurm-dev without installing it."""

from __future__ import annotations

from pathlib import Path

from testbed.cache import key_of, obtain
from testbed.errors import TestbedError
from testbed.mirror import KEYRING, debian_mirror
from testbed.packages import require
from testbed.steps import run, step

SUITES = {"22.05": "bookworm", "24.11": "trixie", "26.05": "sid"}
"""Release series of Slurm and the Debian suite that has it."""


def obtain_headers(series: str) -> Path:
    """Return a directory with `slurm/spank.h` of that series, downloaded on first use."""
    suite = SUITES[series]
    return obtain("headers", f"slurm-{series}", key_of("1", suite), lambda work: _download(suite, work)) / "include"


def _download(suite: str, work: Path) -> None:
    mirror = debian_mirror()
    if not mirror:
        raise TestbedError("this host's apt knows no Debian mirror: no Slurm headers can be fetched")
    require("apt-get", "dpkg-deb")
    signed = f"[signed-by={KEYRING} check-valid-until=no] " if KEYRING.exists() else ""
    (work / "sources.list").write_text(f"deb {signed}{mirror} {suite} main\n")
    (work / "status").touch()
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    apt = ["apt-get", "-q", *(word for option in _apt_options(work) for word in ("-o", option))]
    log = work / "build.log"
    with step(f"fetching Slurm's headers from {suite}", "10 seconds"):
        run([*apt, "update"], log)
        run([*apt, "download", "libslurm-dev"], log, cwd=work)
        package = next(work.glob("libslurm-dev_*.deb"))
        run(["dpkg-deb", "-x", str(package), str(work / "unpacked")], log)
    (work / "unpacked/usr/include").rename(work / "include")


def _apt_options(work: Path) -> list[str]:
    """Return the settings that keep apt inside `work`: the host's own lists and packages stay untouched."""
    return [
        f"Dir::Etc::sourcelist={work}/sources.list",
        "Dir::Etc::sourceparts=-",
        f"Dir::State::lists={work}/lists",
        f"Dir::State::status={work}/status",
        f"Dir::Cache={work}/cache",
        "APT::Sandbox::User=root",
        "Acquire::Languages=none",
    ]
