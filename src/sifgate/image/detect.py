# SPDX-License-Identifier: Apache-2.0
"""What a descriptor holds, decided by content in the runtime's own order, never by name (apptainer.md §5.6).

Directory, then SIF (its magic anywhere in the first 2048 bytes; the loader then insists on offset 32), then squashfs
(at 0, or after the shebang of a Singularity 2 image), then ext3. What two formats could claim is `malformed`: the
runtime and we might choose differently.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from functools import partial

from sifgate.errors import Unscannable
from sifgate.image import sif, squashfs
from sifgate.image.bounds import Bounds
from sifgate.image.directory import DirectoryTree
from sifgate.image.reader import Reader
from sifgate.image.squashfs import SquashfsTree
from sifgate.image.tree import Tree

_SNIFFED = 2048
_SHEBANG = b" run-singularity\n"
_EXT_MAGIC = 0xEF53
_EXT_SUPERBLOCK = struct.Struct("<24xI28xH18xI")
"""Logarithm of the block size, magic, revision."""
_EXT_OFFSET = 1024
_LUKS = b"LUKS\xba\xbe"


def detect(fd: int, bounds: Bounds) -> tuple[str, Tree]:
    """Return the format (`sif`, `squashfs`, `directory`) and its tree; raises `Unscannable` for all else."""
    status = os.fstat(fd)
    if stat.S_ISDIR(status.st_mode):
        return "directory", DirectoryTree(fd, bounds.bytes_read)
    if not stat.S_ISREG(status.st_mode):
        raise Unscannable("format", "the image is neither a regular file nor a directory")
    reader = Reader(fd, 0, status.st_size, bounds.bytes_read)
    if status.st_size < _SNIFFED:
        raise Unscannable(
            "format", f"{status.st_size} bytes are too few for an image (the runtime wants {_SNIFFED})"
        )
    found = _formats(reader.read(0, _SNIFFED))
    if not found:
        raise Unscannable("format", "no image format that the runtimes know")
    if len(found) > 1:
        raise Unscannable("malformed", f"the file is {' and '.join(name for name, _ in found)} at once")
    name, opened = found[0]
    return name, opened(reader)


def _formats(first: bytes) -> list[tuple[str, Callable[[Reader], Tree]]]:
    found: list[tuple[str, Callable[[Reader], Tree]]] = []
    if sif.MAGIC in first:
        found.append(("sif", lambda reader: SquashfsTree(_of_squashfs(sif.primary_partition(reader)))))
    shift = first.find(_SHEBANG) + len(_SHEBANG) if _SHEBANG in first else 0
    for offset in sorted({0, shift}):
        if first.startswith(squashfs.MAGIC, offset):
            found.append(("squashfs", partial(_squashfs, offset)))
        if sif.MAGIC not in first and _is_ext(first[offset + _EXT_OFFSET :]):
            found.append(("ext3", _no_ext3))
    if first.startswith(_LUKS):
        found.append(("LUKS", _no_luks))
    return found


def _is_ext(block: bytes) -> bool:
    """Return whether this is a superblock of ext2, 3 or 4; its magic alone occurs in a squashfs by chance."""
    if len(block) < _EXT_SUPERBLOCK.size:
        return False
    block_log, magic, revision = _EXT_SUPERBLOCK.unpack_from(block)
    return bool(magic == _EXT_MAGIC and block_log <= 6 and revision <= 1)  # noqa: PLR2004  64 KiB, revision 1


def _squashfs(offset: int, reader: Reader) -> Tree:
    return SquashfsTree(reader.window(offset, reader.size - offset))


def _of_squashfs(reader: Reader) -> Reader:
    """Return the partition if it is what its descriptor says; a LUKS container is said to be encrypted."""
    first = reader.read(0, min(len(_LUKS), reader.size))
    if first == _LUKS:
        raise Unscannable("encrypted", "the file system is encrypted (LUKS)")
    if not first.startswith(squashfs.MAGIC):
        raise Unscannable("malformed", "the primary partition says squashfs, but is none")
    return reader


def _no_ext3(_reader: Reader) -> Tree:
    raise Unscannable("filesystem", "an ext3 image is not squashfs")


def _no_luks(_reader: Reader) -> Tree:
    raise Unscannable("encrypted", "the image is encrypted (LUKS)")
