# SPDX-License-Identifier: Apache-2.0
"""The node distrusts its own files: refuse one that somebody else could have written.

A file is safe when its owner and its mode, and those of every directory above it, leave nobody but the allowed uids
able to change or replace it (as munged does for its key, and Sarus for its configuration). Symbolic links are
followed one by one, because whoever can move a link decides what is read. Only simple mode bits are looked at: with a
POSIX ACL the group bits show its mask, so a writable ACL entry is seen as a writable group and refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from sifgate.errors import UnsafeFile

MAX_LINKS = 40  # as the kernel (path_resolution(7))


def check(path: Path, *, owner_uid: int = 0, also: frozenset[int] = frozenset()) -> None:
    """Raise `UnsafeFile` if anybody but root, `owner_uid` and `also` could change the file or what its path leads to.

    `owner_uid` is the running uid when that is not root. Directories that root owns and that are sticky (/tmp) are
    allowed above the file, because there nobody can rename what belongs to others.
    """
    allowed = frozenset({0, owner_uid}) | also
    trail = _trail(path)
    for index, place in enumerate(trail):
        _judge(place, allowed, is_parent=index < len(trail) - 1)


def _trail(path: Path) -> list[Path]:
    """Return every directory, link and finally the file itself that the kernel looks at to open `path`."""
    if "\0" in str(path):
        raise UnsafeFile(f"{str(path)!r}: not a path", hint="remove the NUL byte")
    pending = list(reversed(path.absolute().parts[1:]))  # not resolve(): that would hide the links
    here = Path("/")
    trail = [here]
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            here = here.parent
            continue
        place = here / name
        trail.append(place)
        target = _link_target(place)
        if target is None:
            here = place
            continue
        links += 1
        if links > MAX_LINKS:
            raise UnsafeFile(f"{path}: too many symbolic links", hint="name the file itself")
        if target.is_absolute():
            here = Path("/")
        pending.extend(reversed([part for part in target.parts if part != "/"]))
    return trail


def _link_target(place: Path) -> Path | None:
    try:
        return Path(os.readlink(place))  # noqa: PTH115 - EINVAL tells a link from anything else in one call
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise UnsafeFile(f"{place}: no such file", hint="create it, or correct the path") from error
        if isinstance(error, PermissionError):
            raise UnsafeFile(f"{place}: cannot be looked at", hint="run as its owner") from error
        return None


def _judge(place: Path, allowed: frozenset[int], *, is_parent: bool) -> None:
    try:
        facts = os.lstat(place)
    except OSError as error:
        raise UnsafeFile(f"{place}: {error.strerror}", hint="create it, or correct the path") from error
    if facts.st_uid not in allowed:
        owners = ", ".join(str(uid) for uid in sorted(allowed))
        raise UnsafeFile(
            f"{place}: owned by uid {facts.st_uid}, allowed: {owners}", hint=f"chown {min(allowed)} {place}"
        )
    if stat.S_ISLNK(facts.st_mode):
        return  # a link has no mode of its own; its directory and its target are on the trail
    sticky = is_parent and facts.st_uid == 0 and bool(facts.st_mode & stat.S_ISVTX)
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
        mode = stat.S_IMODE(facts.st_mode)
        raise UnsafeFile(f"{place}: others can write it (mode {mode:04o})", hint=f"chmod go-w {place}")


def check_shared(
    directory: Path, files: Iterable[Path], *, owner_uid: int = 0, uid: int = -1, gid: int = -1
) -> None:
    """Raise `UnsafeFile` if others than root, `owner_uid`, `uid` and the group `gid` could change files in a directory.

    -1 stands for nobody. Everything above the directory must be root's or `owner_uid`'s alone. `files` are those in it
    that are read; they must be plain files, since a link would have root read what its maker may not.
    """
    check(directory.parent, owner_uid=owner_uid)
    allowed = frozenset({0, owner_uid}) | ({uid} if uid >= 0 else set())
    for place in (directory, *files):
        _judge_shared(place, allowed, gid)


def _judge_shared(place: Path, allowed: frozenset[int], gid: int) -> None:
    try:
        facts = os.lstat(place)
    except OSError as error:
        raise UnsafeFile(f"{place}: {error.strerror}", hint="create it, or correct the path") from error
    is_directory = stat.S_ISDIR(facts.st_mode)
    if not is_directory and not stat.S_ISREG(facts.st_mode):
        raise UnsafeFile(f"{place}: neither a plain file nor a directory", hint="put the file itself there")
    theirs = gid >= 0 and facts.st_gid == gid
    if facts.st_uid not in allowed and (is_directory or not theirs):
        owners = ", ".join(str(each) for each in sorted(allowed))
        raise UnsafeFile(
            f"{place}: owned by uid {facts.st_uid}, allowed: {owners}", hint=f"chown {min(allowed)} {place}"
        )
    writable = stat.S_IWOTH if theirs else stat.S_IWGRP | stat.S_IWOTH
    if facts.st_mode & writable:
        mode = stat.S_IMODE(facts.st_mode)
        raise UnsafeFile(f"{place}: others can write it (mode {mode:04o})", hint=f"chmod o-w {place}")
