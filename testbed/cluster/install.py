# SPDX-License-Identifier: Apache-2.0
"""Puts the plugin and the prolog into a cluster's root before its daemons start (`Cluster(prepare=[…])`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from testbed.errors import TestbedError
from testbed.headers import SUITE_OF, obtain_headers

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGINDIR = "usr/lib/x86_64-linux-gnu/slurm-wlm"
SPANKDIR = "usr/lib/sifgate/spank"
LIBEXEC = "usr/libexec/sifgate"
PROLOG = f"/{LIBEXEC}/prolog"


def plugin(root: Path) -> None:
    """Install the SPANK plugin where the cluster's Slurm (24.11) looks for plugins."""
    target = root / PLUGINDIR
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(_compiled("24.11", root.parent), target / "sifgate.so")


def plugins(root: Path) -> None:
    """Install the SPANK plugin for every series, side by side as packages do; no line names one of them."""
    for series in SUITE_OF:
        target = root / SPANKDIR / series
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(_compiled(series, root.parent), target / "sifgate.so")


def submission(root: Path) -> None:
    """Install what Slurm's Lua plugins need to ask: sifgate-ask, and the files of etc/slurm where packages put them."""
    out = root.parent / "programs"
    _make("hooks", f"OUT={out}", str(out / "sifgate-ask"))
    target, share = root / LIBEXEC, root / "usr/share/sifgate/slurm"
    for directory in (target, share):
        directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(out / "sifgate-ask", target / "sifgate-ask")
    for file in (REPOSITORY / "etc/slurm").glob("*.lua"):
        shutil.copy(file, share / file.name)


def fake_pyxis(series: str) -> Callable[[Path], None]:
    """Return what installs a SPANK plugin for `series` that has pyxis' name and option, and does nothing with it."""

    def prepare(root: Path) -> None:
        target = root / SPANKDIR / series / "pyxis.so"
        target.parent.mkdir(parents=True, exist_ok=True)
        words = ("cc", "-shared", "-fPIC", "-isystem", str(obtain_headers(series)), "-o", str(target))
        _run([*words, str(Path(__file__).with_name("fake_pyxis.c"))])

    return prepare


def _compiled(series: str, work: Path) -> Path:
    """Return the plugin for a series of Slurm, compiled below `work`."""
    out = work / f"plugin-{series}"
    _make("plugin", f"OUT={out}", f"SLURM_INCLUDE={obtain_headers(series)}")
    return out / "sifgate.so"


def hooks(root: Path) -> None:
    """Install the prolog with the root tree's own Python, beside the client that it imports."""
    _make("hooks/slurm", "install", f"DESTDIR={root}", f"LIBEXECDIR=/{LIBEXEC}", "PYTHON=/usr/bin/python3")


def programs(root: Path) -> None:
    """Compile the programs of the doors (wrapper, ask, guard) and put them where packages put them; none is active."""
    out = root.parent / "programs"
    _make("hooks", "-j4", f"OUT={out}")
    target = root / LIBEXEC
    target.mkdir(parents=True, exist_ok=True)
    for program in out.glob("sifgate-*"):
        shutil.copy(program, target / program.name)


def _make(directory: str, *words: str) -> None:
    _run(["make", "-s", "-C", str(REPOSITORY / directory), *words])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    sys.stderr.write(done.stderr)
