# SPDX-License-Identifier: Apache-2.0
"""Expensive artefacts, built once, outside the clone, keyed by the content of their recipe.

::

    ${SIFGATE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/sifgate-testbed}/
        images/bullseye-sci-3f0c…/bullseye-sci.sif     an entry appears by one rename, so it is whole or absent
        .building/images-bullseye-sci-3f0c….4711/      being built; left by a killed build, removed by the next
        .locks/images-bullseye-sci-3f0c….lock          two processes build once
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import filelock

from testbed.errors import TestbedError

KEY_DIGITS = 16


def cache_root(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the cache directory; a relative XDG value is ignored, as that specification says."""
    own = environment.get("SIFGATE_CACHE", "")
    if own:
        return Path(own).absolute()
    base = environment.get("XDG_CACHE_HOME", "")
    home = Path(environment.get("HOME") or Path.home())
    return (Path(base) if base.startswith("/") else home / ".cache") / "sifgate-testbed"


def key_of(*recipe: str | bytes) -> str:
    """Return the key of a recipe: equal parts, equal key; parts cannot run into each other."""
    digest = hashlib.sha256()
    for part in recipe:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()[:KEY_DIGITS]


def entry_path(kind: str, name: str, key: str) -> Path:
    """Return where the entry is, or would be."""
    return cache_root() / kind / f"{name}-{key}"


def obtain(kind: str, name: str, key: str, build: Callable[[Path], None]) -> Path:
    """Return the entry's directory; if it is absent, `build` fills an empty directory that is then renamed.

    An error of `build` leaves no entry. The directories of the cache belong to who runs this, with mode 0755.
    """
    entry = entry_path(kind, name, key)
    if entry.is_dir():
        _check_owner(entry)
        return entry
    label = f"{kind}-{name}-{key}"
    for directory in (entry.parent, _side(".locks"), _side(".building")):
        directory.mkdir(parents=True, exist_ok=True)
        _check_owner(directory)
    with filelock.FileLock(_side(".locks") / f"{label}.lock"):
        if not entry.is_dir():
            _build_entry(entry, label, build)
    return entry


def _build_entry(entry: Path, label: str, build: Callable[[Path], None]) -> None:
    for left in _side(".building").glob(f"{label}.*"):  # we hold the lock: whoever made it is dead
        _remove_unmounted(left)
    work = _side(".building") / f"{label}.{os.getpid()}"
    work.mkdir()
    try:
        build(work)
        work.chmod(0o755)
        work.rename(entry)
    finally:
        if work.exists():
            _remove_unmounted(work)


def _remove_unmounted(path: Path) -> None:
    """Remove a directory, unless something is mounted in it: that would be emptied too."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    if any(line.split()[4].startswith(f"{path}/") for line in mounts):
        raise TestbedError(f"something is mounted below {path}: unmount it first")
    shutil.rmtree(path)


def _side(name: str) -> Path:
    return cache_root() / name


def _check_owner(path: Path) -> None:
    """Refuse what another user made or can write: root runs programs from here."""
    status = path.stat()
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        found = f"belongs to uid {status.st_uid}, mode {status.st_mode & 0o7777:04o}"
        raise TestbedError(f"{path} {found}: remove it or set SIFGATE_CACHE")
