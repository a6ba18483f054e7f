# SPDX-License-Identifier: Apache-2.0
"""Podman's image id of a container, where root's own storage vouches for it: reading the same image again is spared.

Only for a peer of uid 0, and only if nobody but root can have written what is read on the way (`fsguard`)::

    <graphroot>/overlay-containers/<id>/userdata                the bundle of the state document
    <graphroot>/overlay-containers/[volatile-]containers.json   id → image id (digest of its configuration), layer
    <graphroot>/overlay/<layer>/merged                          must be the very directory that the shim has opened
    <graphroot>/overlay/<layer>/diff                            the container's own: mount points only, or it is read
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

import msgspec

from sifgate import fsguard
from sifgate.errors import UnsafeFile
from sifgate.origin.injection import over_system
from sifgate.origin.oci import State

LIST_LIMIT = 16 << 20
"""Bytes of a list of containers; Podman writes half a kilobyte for each."""
OWN_LIMIT = 256
"""Entries of a container's own layer that are looked at."""
_LISTS = ("containers.json", "volatile-containers.json")
_DIGITS = frozenset("0123456789abcdef")
_ID_LENGTH = 64
_OPAQUE = "trusted.overlay.opaque"
_FROM_PODMAN = frozenset(
    {"etc", "run", "etc/hosts", "etc/hostname", "etc/mtab", "etc/resolv.conf", "run/.containerenv"}
)


class Vouched(NamedTuple):
    """An image that root's storage vouches for."""

    key: tuple[str, ...]
    """Under which its fingerprint may be remembered."""
    device: int
    inode: int
    """Of the directory that it is mounted at."""
    name: str
    """What the user called it."""


class _Container(msgspec.Struct, frozen=True):
    id: str = ""
    image: str = ""
    layer: str = ""
    metadata: str = ""


class _Metadata(msgspec.Struct, frozen=True):
    image_name: str = msgspec.field(default="", name="image-name")


_decoder = msgspec.json.Decoder(list[_Container])
_metadata = msgspec.json.Decoder(_Metadata)


def vouched(state: State, owner_uid: int = 0) -> Vouched | None:
    """Return what root's storage says of a container's image; None where it says nothing that counts. Reads files."""
    graphroot = _graphroot(state)
    if graphroot is None:
        return None
    try:
        container = _container(graphroot, state.id, owner_uid)
        if container is None or not _is_id(container.image) or not _is_id(container.layer):
            return None
        layer = graphroot / "overlay" / container.layer
        fsguard.check(layer.parent, owner_uid=owner_uid)
        merged = (layer / "merged").lstat()
        if not _only_mount_points(layer / "diff"):
            return None
    except (OSError, UnsafeFile, msgspec.DecodeError):
        return None
    return Vouched(
        ("podman", str(graphroot), container.image), merged.st_dev, merged.st_ino, _name(container)
    )


def _graphroot(state: State) -> Path | None:
    """Return the storage that a bundle lies in; None where it is none of Podman's."""
    bundle = Path(state.bundle)
    if not _is_id(state.id) or bundle.parts[-3:] != ("overlay-containers", state.id, "userdata"):
        return None
    return bundle.parents[2]


def _container(graphroot: Path, identifier: str, owner_uid: int) -> _Container | None:
    """Return a container's entry; raises OSError, UnsafeFile, DecodeError."""
    for name in _LISTS:
        path = graphroot / "overlay-containers" / name
        if not path.exists():  # Podman makes each with the first container that belongs into it
            continue
        fsguard.check(path, owner_uid=owner_uid)
        with path.open("rb") as file:
            data = file.read(LIST_LIMIT + 1)
        if len(data) <= LIST_LIMIT:
            for container in _decoder.decode(data):
                if container.id == identifier:
                    return container
    return None


def _only_mount_points(diff: Path) -> bool:
    """Return whether a container's own layer neither adds to its image nor hides anything of it; raises OSError."""
    seen = 0
    pending = [""]
    while pending:
        above = pending.pop()
        with os.scandir(diff / above) as entries:
            for entry in entries:
                seen += 1
                path = f"{above}/{entry.name}" if above else entry.name
                if seen > OWN_LIMIT or not _is_mount_point(entry, path):
                    return False
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
    return True


def _is_mount_point(entry: os.DirEntry[str], path: str) -> bool:
    """Return whether an entry is one of Podman's own, or an empty place for a mount where no packages lie."""
    if path not in _FROM_PODMAN and over_system(f"/{path}"):
        return False
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        return not _opaque(entry.path)
    if stat.S_ISLNK(status.st_mode):
        return path == "etc/mtab"
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _opaque(directory: str) -> bool:
    """Return whether a directory hides what the image has at its place; raises OSError."""
    try:
        return bool(os.getxattr(directory, _OPAQUE))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return False
        raise


def _is_id(text: str) -> bool:
    return len(text) == _ID_LENGTH and _DIGITS.issuperset(text)


def _name(container: _Container) -> str:
    try:
        return _metadata.decode(container.metadata).image_name
    except msgspec.DecodeError:
        return ""
