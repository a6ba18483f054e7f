# SPDX-License-Identifier: Apache-2.0
"""One program file of Apptainer or SingularityCE, and the wrapper that may lie in its place.

::

    /usr/bin/apptainer        the wrapper, a copy of /usr/libexec/sifgate/sifgate-wrapper
    /usr/bin/apptainer.real   the program; dpkg writes it here, rpm writes over the wrapper

Every change is one rename, so there is no moment without `apptainer`. Links to the program (`singularity`, Debian's
alternatives) lead to the wrapper without being touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sifgate.doors.diversion import Diversion
from sifgate.errors import ConfigError

SUFFIX = ".real"
MARK = b"sifgate-wrapper: takes the place of a container runtime"
"""Holds every wrapper, of whatever release (hooks/wrapper/main.c)."""
_WRAPPER_MAX = 16 << 20
_ELF = b"\x7fELF"


class Runtime:
    """A program below a tree; `path` is what users call."""

    def __init__(self, tree: Path, path: Path) -> None:
        self.tree = tree
        self.path = path
        self.real = path.with_name(path.name + SUFFIX)
        inside = Path("/") / path.relative_to(tree)
        self.shown = str(inside)
        self._diversion = Diversion(tree, inside, inside.with_name(inside.name + SUFFIX))

    @property
    def exists(self) -> bool:
        """Return whether there is a program, a wrapper, or the one without the other."""
        return any(_is_file(path) for path in (self.path, self.real))

    @property
    def is_wrapped(self) -> bool:
        """Return whether the wrapper lies in the program's place."""
        return is_wrapper(self.path)

    @property
    def has_real(self) -> bool:
        """Return whether there is a program for the wrapper to run."""
        return _is_file(self.real) and os.access(self.real, os.X_OK) and not is_wrapper(self.real)

    def is_current(self, wrapper: Path) -> bool:
        """Return whether it is this wrapper that lies in the program's place."""
        return self.is_wrapped and self.path.read_bytes() == wrapper.read_bytes()

    def check(self) -> None:
        """Raise ConfigError where the program cannot be wrapped, or somebody but root could undo it."""
        for place in (self.path, self.real, *self.path.parents):
            if place.exists():
                _trust(place)
            if place == self.tree:
                break
        if _is_file(self.path) and self.path.open("rb").read(4) != _ELF:
            raise ConfigError(
                f"{self.shown} is a script",
                hint="it finds its program by its own name; wrap the program itself",
            )

    def wrap(self, wrapper: Path) -> list[str]:
        """Put the wrapper in place; return a line for each thing done. Whatever a package wrote last is what runs."""
        done = []
        diverted = self._diversion.is_recorded
        if not diverted and self._diversion.is_owned:
            self._diversion.record()
            done.append(f"{self.shown}: packages write it as {self.real.name} from now on")
        if not _is_file(self.path) and not diverted and not done:
            self.real.unlink()
            return [*done, f"{self.real.name}: left over from a program that is gone, removed"]
        if _is_file(self.path) and not self.is_wrapped and not (diverted and self.has_real):
            self._keep()
            done.append(f"{self.shown}: kept as {self.real.name}")
        if not self.is_current(wrapper):
            _place(wrapper, self.path)
            done.append(f"{self.shown}: the wrapper lies in its place")
        return done

    def unwrap(self) -> list[str]:
        """Put the program back; return a line for each thing done."""
        done = []
        diverted = self._diversion.is_recorded
        if self.has_real and (self.is_wrapped or diverted):
            self.real.replace(self.path)
            done.append(f"{self.shown}: the program lies in its own place again")
        elif self.is_wrapped:
            self.path.unlink()
            done.append(f"{self.shown}: the wrapper is removed; there was no program behind it")
        elif _is_file(self.real) and _is_file(self.path):
            self.real.unlink()
            done.append(f"{self.real.name}: left over, removed")
        if diverted:
            self._diversion.forget()
            done.append(f"{self.shown}: packages write it under its own name again")
        return done

    def _keep(self) -> None:
        """Give the program its second name, in one step; an older one of that name goes."""
        if _is_file(self.real) and self.real.samefile(self.path):
            return
        with _beside(self.real) as spare:
            spare.unlink()
            try:
                os.link(self.path, spare)
            except OSError:  # no hard links on this file system
                shutil.copy2(self.path, spare)
            spare.replace(self.real)


def is_wrapper(path: Path) -> bool:
    """Return whether a file is a wrapper of ours; False where it cannot be read."""
    try:
        return _is_file(path) and path.stat().st_size < _WRAPPER_MAX and MARK in path.read_bytes()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _trust(place: Path) -> None:
    facts = place.stat()
    sticky = stat.S_ISDIR(facts.st_mode) and bool(facts.st_mode & stat.S_ISVTX)
    if facts.st_uid not in {0, os.geteuid()}:
        raise ConfigError(
            f"{place} belongs to uid {facts.st_uid}, who could take the wrapper away", hint="chown root"
        )
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
        raise ConfigError(f"{place}: others can write it", hint=f"chmod go-w {place}")


def _place(wrapper: Path, path: Path) -> None:
    with _beside(path) as spare:
        shutil.copyfile(wrapper, spare)
        spare.chmod(0o755)
        with spare.open("rb") as written:
            os.fsync(written.fileno())
        spare.replace(path)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield the name of an empty file in the same directory, which is gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix=".sifgate-", dir=path.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
