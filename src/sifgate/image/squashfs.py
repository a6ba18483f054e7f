# SPDX-License-Identifier: Apache-2.0
"""Squashfs 4.0, little-endian: superblock, inodes and directories of a hostile file system as a `Tree`.

::

    offset 0   superblock, 96 bytes
      ...      data blocks and fragment blocks, each compressed on its own        squashfs_data.py
      inode_table_start      metadata blocks: inodes                              ┐ each a 2-byte header
      directory_table_start  metadata blocks: (header, entries…)…                 │ (bit 15: stored as is)
      fragment_table_start   8-byte pointers to metadata blocks of 16-byte rows   │ and at most 8 KiB when
      id_table_start, …      not read: nobody asks for owners or attributes       ┘ unfolded

An inode is named by (metadata block's place in the table) << 16 | offset in the unfolded block.
Format: Documentation/filesystems/squashfs.rst of Linux and squashfs_fs.h of squashfs-tools.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sifgate.errors import Unscannable
from sifgate.image.compression import inflater
from sifgate.image.reader import Reader
from sifgate.image.squashfs_data import Blocks, FileData, Fragments, Layout, heads
from sifgate.image.tree import Content, Entry, Kind, check_name

MAGIC = b"hsqs"

_SUPERBLOCK = struct.Struct("<4s4I6H8Q")
_INODE = struct.Struct("<HHHHII")
_METADATA = 8192
_CHECKED = 4
"""Flag of file systems whose metadata blocks carry one more byte in their header."""
_METADATA_LIMIT = 512 << 20
"""Unfolded inodes and directories together; a million entries need about 100 MB."""

_KINDS = {
    1: Kind.DIRECTORY,
    2: Kind.FILE,
    3: Kind.SYMLINK,
    4: Kind.OTHER,
    5: Kind.OTHER,
    6: Kind.OTHER,
    7: Kind.OTHER,
}
_BASIC_DIRECTORY = struct.Struct("<IIHHI")
_LONG_DIRECTORY = struct.Struct("<IIIIHHI")
_BASIC_FILE = struct.Struct("<IIII")
_LONG_FILE = struct.Struct("<QQQIIII")
_SYMLINK = struct.Struct("<II")
_RUN = struct.Struct("<III")
_ENTRY = struct.Struct("<HhHH")
_LONGEST_INODE = 64
_LONGEST_TARGET = 65_536


class _Superblock(NamedTuple):
    """The first 96 bytes."""

    magic: bytes
    inodes: int
    time: int
    block_size: int
    fragments: int
    compression: int
    block_log: int
    flags: int
    ids: int
    major: int
    minor: int
    root: int
    used: int
    id_table: int
    xattr_table: int
    inode_table: int
    directory_table: int
    fragment_table: int
    export_table: int


class Listing(NamedTuple):
    """A directory: where its entries lie, and its inode, by which `walk` knows one that it has met before."""

    block: int
    offset: int
    size: int
    inode: tuple[int, int]


class Target(NamedTuple):
    """Where a symlink's text lies, in the inode table."""

    block: int
    offset: int
    size: int


class _Metadata:
    """A table of metadata blocks, unfolded one by one as they are asked for."""

    def __init__(self, reader: Reader, layout: Layout, start: int) -> None:
        self._reader = reader
        self._inflate = layout.inflate
        self._checked = layout.checked
        self._start = start
        self._blocks: dict[int, tuple[bytes, int]] = {}
        self.unfolded = 0

    def block(self, place: int) -> tuple[bytes, int]:
        """Return an unfolded block and the place of the next one, both relative to the table."""
        found = self._blocks.get(place)
        if found is None:
            found = self._blocks[place] = self._unfold(place)
        return found

    def _unfold(self, place: int) -> tuple[bytes, int]:
        offset = self._start + place
        (header,) = struct.unpack("<H", self._reader.read(offset, 2))
        first = 3 if self._checked else 2
        stored = header & 0x7FFF or 0x8000
        if stored > _METADATA + 1024:
            raise Unscannable("malformed", f"a metadata block of {stored} bytes (at most {_METADATA})")
        data = self._reader.read(offset + first, stored)
        if not header & 0x8000:
            data = self._inflate(data, _METADATA)
        if not data or len(data) > _METADATA:
            raise Unscannable("malformed", "a metadata block unfolds to nothing, or to more than 8 KiB")
        self.unfolded += len(data)
        if self.unfolded > _METADATA_LIMIT:
            raise Unscannable("bounds", f"inodes or directories unfold to more than {_METADATA_LIMIT} bytes")
        return data, place + first + stored

    def read(self, place: int, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes, over as many blocks as they need."""
        data, following = self.block(place)
        if offset + length <= len(data):
            return data[offset : offset + length]
        while offset >= len(data):
            offset -= len(data)
            data, following = self.block(following)
        parts = [data[offset : offset + length]]
        missing = length - len(parts[0])
        while missing > 0:
            data, following = self.block(following)
            parts.append(data[:missing])
            missing -= len(parts[-1])
        return b"".join(parts)


def _superblock(reader: Reader) -> _Superblock:
    if reader.size < _SUPERBLOCK.size:
        raise Unscannable("malformed", "too short for a squashfs")
    block = _Superblock(*_SUPERBLOCK.unpack(reader.read(0, _SUPERBLOCK.size)))
    if block.magic != MAGIC or (block.major, block.minor) != (4, 0):
        raise Unscannable("format", f"squashfs version {block.major}.{block.minor} is not 4.0")
    if not 12 <= block.block_log <= 20 or block.block_size != 1 << block.block_log:  # noqa: PLR2004  4 KiB to 1 MiB
        raise Unscannable(
            "malformed", f"squashfs block size {block.block_size} with logarithm {block.block_log}"
        )
    if block.used > reader.size:
        raise Unscannable(
            "malformed", f"squashfs says it has {block.used} bytes, of which only {reader.size} are there"
        )
    return block


def _entry(number: int, mode: int, data: bytes, place: tuple[int, int]) -> Entry:
    """Return the entry of an inode, given what follows its common header; `struct.error` if that is cut off."""
    block, offset = place
    offset += _INODE.size
    if number in {1, 8}:
        if number == 1:
            start, _links, size, first, _parent = _BASIC_DIRECTORY.unpack_from(data)
        else:
            _links, size, start, _parent, _index, first, _xattr = _LONG_DIRECTORY.unpack_from(data)
        return Entry(Kind.DIRECTORY, mode, 0, Listing(start, first, size, place))
    if number == 2:  # noqa: PLR2004  the basic form of a file
        start, fragment, first, size = _BASIC_FILE.unpack_from(data)
        return Entry(
            Kind.FILE, mode, size, FileData(start, size, fragment, first, block, offset + _BASIC_FILE.size)
        )
    if number == 9:  # noqa: PLR2004  the long form
        start, size, _sparse, _links, fragment, first, _xattr = _LONG_FILE.unpack_from(data)
        return Entry(
            Kind.FILE, mode, size, FileData(start, size, fragment, first, block, offset + _LONG_FILE.size)
        )
    if number in {3, 10}:
        _links, size = _SYMLINK.unpack_from(data)
        return Entry(Kind.SYMLINK, mode, 0, Target(block, offset + _SYMLINK.size, size))
    return Entry(Kind.OTHER, mode, 0, None)


class SquashfsTree:
    """The tree of a squashfs; the reader's window begins at its superblock."""

    def __init__(self, reader: Reader) -> None:
        superblock = _superblock(reader)
        self._reader = reader
        self.expected = superblock.inodes
        self.notes: set[str] = set()
        layout = Layout(
            superblock.block_size,
            superblock.compression,
            inflater(superblock.compression),
            checked=bool(superblock.flags & _CHECKED),
        )
        self._inodes = _Metadata(reader, layout, superblock.inode_table)
        self._directories = _Metadata(reader, layout, superblock.directory_table)
        table = _Metadata(reader, layout, 0)
        fragments = Fragments(table, reader, superblock.fragment_table, superblock.fragments)
        self._data = Blocks(reader, layout, fragments)
        self.root = self._inode(superblock.root >> 16, superblock.root & 0xFFFF, 1)

    # --- directories

    def children(self, directory: Entry) -> Iterator[tuple[bytes, Entry]]:
        """Yield names and entries; raises `Unscannable` on names that repeat, are out of order or lead elsewhere."""
        listing: Listing = directory.handle
        if listing.size <= 3:  # noqa: PLR2004  an empty directory counts "." and ".." as three bytes
            return
        raw = self._directories.read(listing.block, listing.offset, listing.size - 3)
        before = b""
        position = 0
        end = len(raw)
        while position < end:
            if position + _RUN.size > end:
                raise Unscannable("malformed", "a directory ends in the middle of a run of entries")
            count, block, _number = _RUN.unpack_from(raw, position)
            position += _RUN.size
            if count >= 256:  # noqa: PLR2004  SQUASHFS_DIR_COUNT
                raise Unscannable("malformed", f"a run of {count + 1} directory entries")
            for _ in range(count + 1):
                if position + _ENTRY.size > end:
                    raise Unscannable("malformed", "a directory ends in the middle of an entry")
                offset, _delta, kind, size = _ENTRY.unpack_from(raw, position)
                position += _ENTRY.size + size + 1
                name = raw[position - size - 1 : position]
                if position > end or len(name) > 256:  # noqa: PLR2004  SQUASHFS_NAME_LEN
                    raise Unscannable("malformed", "a directory entry's name is too long")
                if name <= before:
                    raise Unscannable(
                        "malformed", f"directory entries repeat or are out of order at {name!r}"
                    )
                before = name
                yield check_name(name), self._inode(block, offset, kind)

    # --- inodes

    def _inode(self, block: int, offset: int, kind: int) -> Entry:
        data, _ = self._inodes.block(block)
        at = offset
        if at + _LONGEST_INODE > len(data):
            data, at = self._across(block, offset), 0
        try:
            number, mode, _uid, _gid, _time, _inode = _INODE.unpack_from(data, at)
            basic = number if number <= 7 else number - 7  # noqa: PLR2004  8 to 14 are the long forms of 1 to 7
            if basic != kind or basic not in _KINDS:
                raise Unscannable("malformed", f"an entry of type {kind} leads to an inode of type {number}")
            return _entry(
                number, mode & 0o7777, data[at + _INODE.size : at + _LONGEST_INODE], (block, offset)
            )
        except struct.error as error:
            raise Unscannable("malformed", "an inode reaches past the end of the inode table") from error

    def _across(self, block: int, offset: int) -> bytes:
        """Return the bytes of an inode that may reach into the next block; fewer at the end of the table."""
        data, following = self._inodes.block(block)
        if offset >= len(data):
            raise Unscannable("malformed", "an inode lies outside of its metadata block")
        rest = data[offset:]
        if len(data) < _METADATA:
            return rest
        try:
            return rest + self._inodes.block(following)[0][:_LONGEST_INODE]
        except Unscannable:
            return rest  # the last full block of the table: what follows is no metadata

    # --- contents

    def target(self, link: Entry) -> bytes:
        """Return what a symlink says."""
        target: Target = link.handle
        if target.size > _LONGEST_TARGET:
            raise Unscannable("malformed", f"a symlink of {target.size} bytes")
        return self._inodes.read(target.block, target.offset, target.size)

    def content(self, file: Entry) -> Content:
        """Return the content of a regular file."""
        return self._data.content(file.handle, self._block_sizes(file.handle))

    def _block_sizes(self, data: FileData) -> bytes:
        count = self._data.count(data)
        if count * 4 > _METADATA_LIMIT:
            raise Unscannable("bounds", f"a file of {data.size} bytes")
        return self._inodes.read(data.list_block, data.list_offset, count * 4)

    def heads(self, files: Sequence[Entry], length: int) -> Iterator[tuple[int, bytes]]:
        """Yield the first bytes of many files, in the order in which they lie in the image."""
        return heads(self._data, [file.handle for file in files], length, self._first_size)

    def _first_size(self, data: FileData) -> int:
        (size,) = struct.unpack("<I", self._inodes.read(data.list_block, data.list_offset, 4))
        return int(size)

    def bytes_read(self) -> int:
        """Return how many bytes of the image were read so far."""
        return self._reader.bytes_read
