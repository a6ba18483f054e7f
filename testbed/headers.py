# SPDX-License-Identifier: Apache-2.0
"""Headers of three series of Slurm, unpacked from Debian's packages without installing them; no root needed.

The plugin is compiled against each of them: the interface of SPANK changes between series.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from testbed.cache import key_of, obtain
from testbed.errors import TestbedError
from testbed.mirror import KEYRING, debian_mirror
from testbed.packages import find_program
from testbed.steps import run, step

RECIPE = "1"
SUITE_OF = {"22.05": "bookworm", "24.11": "trixie", "26.05": "sid"}
"""Series → the suite of Debian that has it."""


def obtain_headers(series: str) -> Path:
    """Return the directory to give to the compiler (it holds `slurm/spank.h`), fetched on first use."""
    suite = SUITE_OF.get(series)
    if suite is None:
        raise TestbedError(f"no headers of Slurm {series}; there are {', '.join(SUITE_OF)}")
    key = key_of(RECIPE, suite, "libslurm-dev")
    return obtain("slurm-headers", series, key, lambda work: _fetch(series, suite, work)) / "include"


def header_version(include: Path) -> str:
    """Return the series that headers state, for example "24.11"."""
    text = (include / "slurm" / "slurm_version.h").read_text()
    found = re.search(r"SLURM_VERSION_NUMBER\s+0x([0-9a-fA-F]{2})([0-9a-fA-F]{2})", text)
    if found is None:
        raise TestbedError(f"{include}: no SLURM_VERSION_NUMBER in slurm/slurm_version.h")
    return f"{int(found[1], 16):02d}.{int(found[2], 16):02d}"


def _fetch(series: str, suite: str, work: Path) -> None:
    if find_program("apt-get") is None or find_program("dpkg-deb") is None:
        raise TestbedError("headers are fetched by apt-get and dpkg-deb, which this host lacks")
    with step(f"fetching the headers of Slurm {series}"):
        download(suite, "libslurm-dev", work)
        package = next(work.glob("libslurm-dev_*.deb"))
        run(["dpkg-deb", "-x", str(package), str(work / "unpacked")], work / "build.log")
    (work / "unpacked/usr/include").rename(work / "include")
    shutil.rmtree(work / "unpacked")
    package.unlink()
    found = header_version(work / "include")
    if found != series:
        raise TestbedError(f"Debian {suite} has Slurm {found} by now, not {series}")


def download(suite: str, package: str, work: Path, *, source: bool = False) -> None:
    """Download one package of a suite into `work`, with an apt of its own: the host's stays as it is.

    `source`: its source package, not unpacked.
    """
    mirror = debian_mirror()
    if not mirror:
        raise TestbedError("this host's apt names no Debian mirror")
    apt = work / "apt"
    for directory in ("etc/apt", "state/lists/partial", "cache/archives/partial"):
        (apt / directory).mkdir(parents=True)
    (apt / "status").touch()
    signed = f"signed-by={KEYRING} " if KEYRING.exists() else ""
    # A lagging mirror's index of sid may be past its week; its signature is checked all the same.
    kind = "deb-src" if source else "deb"
    (apt / "etc/apt/sources.list").write_text(
        f"{kind} [{signed}check-valid-until=no] {mirror} {suite} main\n"
    )
    places = {
        "Dir::Etc": apt / "etc/apt",
        "Dir::Etc::parts": "-",
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
    }
    words = ["apt-get", "-q", *(word for key, value in places.items() for word in ("-o", f"{key}={value}"))]
    words += ["-o", "APT::Sandbox::User=", "-o", "Acquire::Languages=none"]
    run([*words, "update"], work / "build.log")
    verb = ["source", "--download-only"] if source else ["download"]
    run([*words, *verb, package], work / "build.log", cwd=work)
    shutil.rmtree(apt)
