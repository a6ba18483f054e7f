# SPDX-License-Identifier: Apache-2.0
"""The door `wrapper`: a small program in the place of `apptainer` or `singularity`, for packages and for prefixes.

It is put back by `sifgate wrapper install` after anything that may have taken it away: dpkg does not (the file is
diverted), rpm writes over it (its trigger calls this), a new version in a prefix of Spack or of modules is a new file.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sifgate.doors.door import LIBEXEC, Door, DoorState
from sifgate.doors.memory import Memory
from sifgate.doors.placed import below
from sifgate.doors.runtime import Runtime
from sifgate.errors import ConfigError

NAMES = ("apptainer", "singularity")
DIRECTORIES = ("/usr/bin", "/usr/local/bin")
PROGRAM = LIBEXEC / "sifgate-wrapper"
_LIMIT_S = 30


class Wrapper:
    """The runtime's own program."""

    name = "wrapper"
    summary = "launches of Apptainer and SingularityCE, however they are started"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of `install`."""
        parser.add_argument(
            "--prefix",
            type=Path,
            metavar="DIR",
            help="where else a runtime lies: DIR/bin/apptainer of a module or of Spack (default: the system's own)",
        )

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Put the wrapper before every program found; nothing is changed unless all of them can be wrapped."""
        tree = _chroot_of_dpkg(tree)
        source = below(tree, PROGRAM)
        if not source.is_file():
            raise ConfigError(f"{PROGRAM}: no such program", hint="install the package sifgate-wrapper first")
        found = [*_below_prefix(tree, chosen.prefix)] if chosen.prefix else [*_everywhere(tree)]
        if not found:
            where = chosen.prefix or ", ".join(DIRECTORIES)
            raise ConfigError(f"no {' or '.join(NAMES)} in {where}", hint="--prefix DIR names another place")
        for runtime in found:
            runtime.check()
            _check_relocated(runtime, chosen.prefix)
        return [line for runtime in found for line in runtime.wrap(source)]

    def remove(self, tree: Path) -> list[str]:
        """Put every program back."""
        tree = _chroot_of_dpkg(tree)
        return [line for runtime in _everywhere(tree) for line in runtime.unwrap()]

    def state(self, tree: Path) -> DoorState:
        """Look at every program found."""
        try:
            found = [*_everywhere(tree)]
            source = below(tree, PROGRAM)
            bare = [each.shown for each in found if not each.is_wrapped]
            empty = [each.shown for each in found if each.is_wrapped and not each.has_real]
            old = [
                each.shown
                for each in found
                if source.is_file() and each.is_wrapped and not each.is_current(source)
            ]
        except (OSError, ConfigError) as error:
            return DoorState(
                name=self.name, present=False, problem=str(error), remedy="sifgate wrapper install"
            )
        if not found:
            return DoorState(
                name=self.name, present=False, detail=f"no {' or '.join(NAMES)} here", applicable=False
            )
        wrapped = [each.shown for each in found if each.is_wrapped]
        problem, remedy = _problem(bare if wrapped or _is_wanted(tree) else [], empty, old)
        detail = f"before {', '.join(wrapped)}" if wrapped else f"{', '.join(bare)} unwrapped"
        return DoorState(name=self.name, present=bool(wrapped), detail=detail, problem=problem, remedy=remedy)


def _is_wanted(tree: Path) -> bool:
    """Return whether the door was put in place, and not taken away for a time."""
    memory = Memory(tree)
    return bool(memory.options("wrapper")) and "wrapper" not in memory.disabled()


def _problem(bare: list[str], empty: list[str], old: list[str]) -> tuple[str, str]:
    """Return what is wrong and what to do, both empty where nothing is."""
    if empty:
        return (
            f"no program behind {', '.join(empty)}",
            "install the runtime's package, or `sifgate wrapper remove`",
        )
    if bare:
        return f"{', '.join(bare)}: not wrapped (written anew by a package?)", "sifgate wrapper install"
    if old:
        return f"{', '.join(old)}: a wrapper of another release", "sifgate wrapper install"
    return "", ""


def _chroot_of_dpkg(tree: Path) -> Path:
    """Return the tree that dpkg installs into where this runs in a maintainer script and none was named."""
    root = os.environ.get("DPKG_ROOT", "")
    return Path(root) if tree == Path("/") and root else tree


def _everywhere(tree: Path) -> Iterator[Runtime]:
    """Yield the programs of the system and of every prefix that was ever named."""
    seen = set()
    parser = argparse.ArgumentParser(exit_on_error=False)
    DOOR.options(parser)
    remembered = [parser.parse_known_args(words)[0].prefix for words in Memory(tree).options("wrapper")]
    found = [runtime for directory in DIRECTORIES for runtime in _in_directory(tree, Path(directory))]
    for runtime in (
        *found,
        *(each for prefix in remembered if prefix for each in _below_prefix(tree, prefix)),
    ):
        if runtime.path not in seen:
            seen.add(runtime.path)
            yield runtime


def _below_prefix(tree: Path, prefix: Path) -> Iterator[Runtime]:
    for directory in (prefix / "bin", prefix):
        yield from _in_directory(tree, directory)


def _in_directory(tree: Path, directory: Path) -> Iterator[Runtime]:
    """Yield the programs in a directory; links (`singularity` → `apptainer`) lead to them or elsewhere."""
    for name in NAMES:
        runtime = Runtime(tree, below(tree, directory) / name)
        if runtime.exists and not runtime.path.is_symlink():
            yield runtime


def _check_relocated(runtime: Runtime, prefix: Path | None) -> None:
    """Raise ConfigError where a program finds its files only under its own name and place.

    A copied installation works out its prefix from the name `apptainer`; under any other name it looks into the
    prefix that it was compiled for, so the wrapper would break it.
    """
    if prefix is None or runtime.tree != Path("/") or runtime.is_wrapped:
        return
    told = subprocess.run(
        [str(runtime.path), "buildcfg"], capture_output=True, text=True, check=False, timeout=_LIMIT_S
    ).stdout
    settings = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    compiled = settings.get("BINDIR", "").strip('"')
    if compiled and not (Path(compiled).is_dir() and Path(compiled).samefile(runtime.path.parent)):
        raise ConfigError(
            f"{runtime.shown} was moved here from {compiled} and works under its own name only",
            hint="install the runtime into the prefix that it was compiled for",
        )


DOOR: Door = Wrapper()
