# SPDX-License-Identifier: Apache-2.0
"""The Slurm of a node or of a tree, asked without a daemon: which series it is, and whether it loads a plugin.

Slurm's loader insists on its own major.minor, so a plugin is only believed to fit after the installed client has loaded
it: `srun --help` with a slurm.conf and a plugstack.conf of ours (measured on 22.05, 24.11 and 26.05: exit status 1
where a `required` plugin cannot be loaded, and its options in the help where it can). Nothing is contacted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sifgate.doors.placed import below
from sifgate.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

PLACES = ("usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin", "opt/slurm/sbin", "opt/slurm/bin")
"""Where Slurm's programs are looked for in a tree; on the host, in PATH first."""
CONFIGLESS = Path("/run/slurm/conf")
"""Where slurmd keeps what it fetched from the controller, and where clients look when /etc/slurm holds nothing."""
LIMIT_S = 20.0
OPTION = "--sifgate-reason"
"""Registered by the plugin, so it stands in the help of a client that has loaded it."""
_VERSION = re.compile(r"\b(\d\d\.\d\d)\.\d+")
_KEPT = re.compile(r"(?im)^[ \t]*(?:AuthType|AuthAltTypes|CredType|PluginDir)[ \t]*=.*$")
"""Settings of the site without which its clients do not start at all."""
_TRIAL = """\
ClusterName=sifgate
SlurmctldHost=localhost
PlugStackConfig={directory}/plugstack.conf
NodeName=localhost
PartitionName=sifgate Nodes=localhost
{kept}
"""


class Slurm(msgspec.Struct, frozen=True):
    """An installed Slurm; paths are as they are inside the tree."""

    tree: Path
    srun: Path
    slurmd: Path | None
    """None on a login node."""
    etc: Path
    """The directory of slurm.conf."""
    series: str
    """For example "24.11"; of slurmd where there is one: it loads what runs in a job."""
    version: str

    @property
    def configless(self) -> bool:
        """Return whether the configuration here is a copy that slurmd fetched from the controller."""
        return self.etc == CONFIGLESS

    def loads(self, plugin: Path) -> str:
        """Return why the installed Slurm does not load a plugin, in its own words; empty: it does.

        Raises OSError or SubprocessError where it could not be asked, which says nothing about the plugin.
        """
        with _Trial(self.tree, self.etc, f"required {plugin}\n") as trial:
            done = trial.run(self.srun, "--help")
        if done.returncode == 0 and OPTION in done.stdout:
            return ""
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        telling = [line for line in said if "ncompatible" in line or str(plugin) in line]
        return (telling or said or [f"{self.srun} --help ended with {done.returncode}"])[0]


class _Trial:
    """A directory inside the tree with a configuration of ours, for one run of a client."""

    def __init__(self, tree: Path, etc: Path, plugstack: str) -> None:
        self._tree = tree
        self._kept = "\n".join(_KEPT.findall(_text(below(tree, etc / "slurm.conf"))))
        self._plugstack = plugstack

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="sifgate-slurm-", dir=below(self._tree, "/tmp")))  # noqa: S108
        inside = Path("/tmp") / self._directory.name  # noqa: S108 - a new directory of mkdtemp
        self._conf = inside / "slurm.conf"
        (self._directory / "slurm.conf").write_text(_TRIAL.format(directory=inside, kept=self._kept))
        (self._directory / "plugstack.conf").write_text(self._plugstack)
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a client that reads this configuration."""
        return run_inside(self._tree, command, {"SLURM_CONF": str(self._conf)})


def find(tree: Path) -> Slurm | None:
    """Return the Slurm that is installed below `tree`, or None.

    Raises ConfigError for two that do not fit together, OSError or SubprocessError where it could not be asked.
    """
    srun, slurmd = _program(tree, "srun"), _program(tree, "slurmd")
    if srun is None:
        return None
    etc = configuration(tree)
    version = _version_of_client(tree, srun, etc)
    if slurmd is not None:
        daemon = _version(run_inside(tree, [slurmd, "-V"], {}))
        if _series(daemon) != _series(version):
            raise ConfigError(
                f"{slurmd} is Slurm {daemon} and {srun} is Slurm {version}: one plugstack.conf cannot suit both",
                hint="finish the upgrade of Slurm, then run this again",
            )
    return Slurm(tree, srun, slurmd, etc, _series(version), version)


def has_daemon(tree: Path) -> bool:
    """Return whether jobs of Slurm run here."""
    return _program(tree, "slurmd") is not None


def has_client(tree: Path) -> bool:
    """Return whether jobs of Slurm are submitted here."""
    return _program(tree, "srun") is not None


def configuration(tree: Path) -> Path:
    """Return the directory of slurm.conf, as it is inside the tree; /etc/slurm where there is none yet."""
    named = os.environ.get("SLURM_CONF", "") if tree == Path("/") else ""
    if named.startswith("/") and Path(named).is_file():
        return Path(named).parent
    for place in (Path("/etc/slurm"), CONFIGLESS, Path("/etc/slurm-llnl"), Path("/opt/slurm/etc")):
        if below(tree, place / "slurm.conf").is_file():
            return place
    return Path("/etc/slurm")


def settings(tree: Path, name: str) -> list[str]:
    """Return the values of a key of slurm.conf, in its order; nothing where the file cannot be read."""
    text = _text(below(tree, configuration(tree) / "slurm.conf"))
    found = re.findall(rf"(?im)^[ \t]*{re.escape(name)}[ \t]*=[ \t]*([^#\r\n]*)", text)
    return [value.strip() for value in found]


def run_inside(
    tree: Path, command: Sequence[str | Path], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a program of the tree in the tree, nothing of this process's environment in it."""
    words = [str(word) for word in command]
    if tree != Path("/"):
        words = [shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin") or "chroot", str(tree), *words]
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **environment},
        cwd="/",
        check=False,
    )


def _program(tree: Path, name: str) -> Path | None:
    if tree == Path("/") and (found := shutil.which(name)):
        return Path(found)
    for place in PLACES:
        path = tree / place / name
        if path.is_symlink() or path.is_file():  # a link of the tree may be absolute, into the tree
            return Path("/") / place / name
    return None


def _version_of_client(tree: Path, srun: Path, etc: Path) -> str:
    with _Trial(tree, etc, "") as trial:
        return _version(trial.run(srun, "--version"))


def _version(done: subprocess.CompletedProcess[str]) -> str:
    found = _VERSION.search(done.stdout)
    if done.returncode != 0 or found is None:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise ConfigError(f"{done.args[-2]} {done.args[-1]} does not say its version: {said[0]}")
    return found[0]


def _series(version: str) -> str:
    return version.rpartition(".")[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
