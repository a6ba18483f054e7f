# SPDX-License-Identifier: Apache-2.0
"""What lies where: fills the root directory of each package from the clone and from what was compiled."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from sifpack.catalogue import Package
from sifpack.errors import PackagingError, run
from sifpack.python import SOURCE, make_environment
from sifpack.series import SLURM, Series

LIBRARY = "usr/lib/sifgate"
LIBEXEC = "usr/libexec/sifgate"
OWN = SOURCE / "packaging"
DOCUMENTS = ("LICENSE", "THIRD_PARTY.md", "CHANGELOG.md")


class Parts(NamedTuple):
    """What was built before: wheel, directory of the static programs, directory of the plugins."""

    wheel: Path
    programs: Path
    plugins: Path


def fill(root: Path, package: Package, series: Series, parts: Parts) -> None:
    """Fill `root` with the files of one package; modes and owners are those of the package."""
    root.mkdir()
    _CONTENT[package.name](root, series, parts)
    documents = root / "usr/share/doc" / package.name
    for name in DOCUMENTS:
        place(SOURCE / name, documents / ("copyright" if name == "LICENSE" else name))
    if package.steps:
        _steps(root, package.name)
    _settle(root)


def place(source: Path, target: Path, mode: int = 0o644) -> None:
    """Copy one file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


_INCLUDE = '. "${0%/*}/units.sh" # the package has its text here\n'
"""What stands for the shared text in a package's steps."""


def mark_version(root: Path, full: str) -> None:
    """Write the package's full version beside the environment in it, if it has one."""
    for configuration in (root / LIBRARY).glob("*/pyvenv.cfg"):
        (configuration.parent / "version").write_text(f"{full}\n")


def _steps(root: Path, name: str) -> None:
    target = root / LIBRARY / "package" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shared = (OWN / "steps/units.sh").read_text()
    target.write_text((OWN / "steps" / f"{name}.sh").read_text().replace(_INCLUDE, shared))
    target.chmod(0o755)


def _settle(root: Path) -> None:
    """Give every directory and file the mode of a package's: the umask of who builds does not matter."""
    for directory, _, names in os.walk(root):
        Path(directory).chmod(0o755)
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _agent(root: Path, series: Series, parts: Parts) -> None:
    make_environment(root, "agent", series, parts.wheel)
    place(OWN / "launchers/agent", root / LIBRARY / "bin/agent", 0o755)
    place(OWN / "launchers/sifgate", root / "usr/bin/sifgate", 0o755)
    _units(root, ("sifgate-agent.service", "sifgate-agent.socket"))
    place(SOURCE / "etc/tmpfiles.d/sifgate.conf", root / "usr/lib/tmpfiles.d/sifgate.conf")
    place(SOURCE / "etc/sysusers.d/sifgate-agent.conf", root / "usr/lib/sysusers.d/sifgate-agent.conf")
    place(SOURCE / "etc/logrotate.d/sifgate", root / "etc/logrotate.d/sifgate")
    for source in _files(SOURCE / "etc/sifgate"):
        place(source, root / "usr/share/sifgate" / source.relative_to(SOURCE / "etc/sifgate"))
    for source in _files(SOURCE / "docs"):
        place(source, root / "usr/share/doc/sifgate-agent" / source.relative_to(SOURCE / "docs"))
    words = run([sys.executable, "-I", "-m", "sifgate.cli.main", "completion", "bash"])
    completion = root / "usr/share/bash-completion/completions/sifgate"
    completion.parent.mkdir(parents=True)
    completion.write_text(words)
    place(SOURCE / "hooks/disable", root / LIBEXEC / "disable", 0o755)


def _server(root: Path, series: Series, parts: Parts) -> None:
    make_environment(root, "server", series, parts.wheel)
    place(OWN / "launchers/server", root / LIBRARY / "bin/server", 0o755)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/sifgate-server").symlink_to("../lib/sifgate/bin/server")
    _units(
        root,
        tuple(
            f"sifgate-{name}"
            for name in ("server.service", "engine.service", "engine.path", "reload.service")
        ),
    )
    place(SOURCE / "etc/sysusers.d/sifgate-server.conf", root / "usr/lib/sysusers.d/sifgate-server.conf")
    place(OWN / "launchers/sifgate-server.example", root / "usr/share/sifgate/sifgate-server.example")


def _spank(root: Path, series: Series, parts: Parts) -> None:
    del series
    for slurm in SLURM:
        place(parts.plugins / slurm / "sifgate.so", root / LIBRARY / "spank" / slurm / "sifgate.so")
    place(SOURCE / "plugin/spank/sifgate.conf", root / "usr/share/sifgate/plugstack.conf.d/sifgate.conf")
    for source in _files(SOURCE / "etc/slurm"):
        place(source, root / "usr/share/sifgate/slurm" / source.relative_to(SOURCE / "etc/slurm"))


def _wrapper(root: Path, series: Series, parts: Parts) -> None:
    del series
    _program(root, parts, "sifgate-wrapper")


def _hooks(root: Path, series: Series, parts: Parts) -> None:
    _program(root, parts, "sifgate-ask")
    run(["make", "--silent", "-C", str(SOURCE / "hooks/slurm"), "install", f"DESTDIR={root}",
         f"PYTHON=/usr/bin/python{series.python}"])  # fmt: skip
    (root / LIBRARY).mkdir(parents=True, exist_ok=True)
    (root / LIBEXEC / "prolog").rename(root / LIBRARY / "prolog")  # the steps copy it: see there
    for source in _files(
        SOURCE / "plugin/apptainer"
    ):  # compiled on the node, by the Go that compiled its runtime
        place(source, root / LIBRARY / "apptainer-plugin" / source.relative_to(SOURCE / "plugin/apptainer"))
    for name in ("oci", "enroot"):
        for source in _files(SOURCE / "hooks" / name):
            mode = 0o755 if source.read_bytes().startswith(b"#!") else 0o644
            place(source, root / LIBEXEC / name / source.relative_to(SOURCE / "hooks" / name), mode)


def _guard(root: Path, series: Series, parts: Parts) -> None:
    del series
    _program(root, parts, "sifgate-guard")
    _units(root, ("sifgate-guard.service",))


def _program(root: Path, parts: Parts, name: str) -> None:
    place(parts.programs / name, root / LIBEXEC / name, 0o755)


def _units(root: Path, names: Iterable[str]) -> None:
    for name in names:
        place(SOURCE / "etc/systemd" / name, root / "usr/lib/systemd/system" / name)


def _files(directory: Path) -> list[Path]:
    """Return the files below a directory of the clone; none where there is no such directory."""
    return sorted(path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


_CONTENT: dict[str, Callable[[Path, Series, Parts], None]] = {
    "sifgate-agent": _agent,
    "sifgate-server": _server,
    "sifgate-spank": _spank,
    "sifgate-wrapper": _wrapper,
    "sifgate-hooks": _hooks,
    "sifgate-guard": _guard,
}


def missing(package: Package, parts: Parts) -> str:
    """Return why a package cannot be made from this clone; empty: it can."""
    program = {"sifgate-wrapper": "wrapper", "sifgate-hooks": "ask", "sifgate-guard": "guard"}.get(
        package.name
    )
    if program and not (parts.programs / f"sifgate-{program}").exists():
        return f"hooks/{program} has no program"
    if package.name == "sifgate-guard" and not (SOURCE / "etc/systemd/sifgate-guard.service").exists():
        return "etc/systemd/sifgate-guard.service is missing"
    if package.name not in _CONTENT:
        raise PackagingError(f"{package.name}: nobody knows its content")
    return ""
