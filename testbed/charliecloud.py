# SPDX-License-Identifier: Apache-2.0
"""Charliecloud's `ch-run` out of Debian's package, not installed anywhere: a runtime that knows no hook."""

from __future__ import annotations

import shutil
from pathlib import Path

from testbed.cache import key_of, obtain
from testbed.headers import download
from testbed.steps import run

SUITE = "trixie"
PACKAGE = "charliecloud-runtime"


def obtain_ch_run() -> Path:
    """Return the program, downloaded on first use; it needs libsquashfuse0 and libfuse3 beside it."""
    return obtain("charliecloud", SUITE, key_of("1", SUITE, PACKAGE), _fetch) / "ch-run"


def _fetch(work: Path) -> None:
    download(SUITE, PACKAGE, work)
    (package,) = work.glob("*.deb")
    run(["dpkg-deb", "-x", str(package), str(work / "unpacked")], work / "unpack.log")
    (work / "unpacked/usr/bin/ch-run").rename(work / "ch-run")
    shutil.rmtree(work / "unpacked")
    package.unlink()
