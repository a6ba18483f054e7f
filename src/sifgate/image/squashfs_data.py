# SPDX-License-Identifier: Apache-2.0
"""The data of a squashfs: blocks and fragments, unfolded only as far as somebody looks.

A file is `size // block_size` blocks one after the other from `start`, each with a 4-byte stored size in the inode
(bit 24: stored as is; 0: all zeros), and a tail: one more, shorter block, or a piece of a fragment block that it
shares with other files.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

from sifgate.errors import Unscannable
from sifgate.image.compression import STOPS_EARLY, Inflate
from sifgate.image.reader import Reader
from sifgate.image.threads import in_threads

_EXECUTABLES = (b"\x7fELF", b"MZ")
_NO_FRAGMENT = 0xFFFFFFFF
_AS_IS = 1 << 24
_STORED = _AS_IS - 1
_ROW = struct.Struct("<QII")
_ROWS_A_BLOCK = 8192 // _ROW.size
_KEPT = 64 << 20
"""Bytes of fragment blocks that are kept from looking at first bytes until somebody reads the executables in them."""
_TASTE = 4096
"""Compressed bytes that suffice for the first bytes of a block."""


class Layout(NamedTuple):
    """What the superblock says about all blocks."""

    block_size: int
    compression: int
    inflate: Inflate
    checked: bool


class FileData(NamedTuple):
    """Where a regular file's bytes and its list of block sizes lie."""

    start: int
    size: int
    fragment: int
    fragment_offset: int
    list_block: int
    list_offset: int


class Table(Protocol):
    """Metadata blocks by their place in the file system."""

    def block(self, place: int) -> tuple[bytes, int]:
        """Return an unfolded block and the place of the next one."""
        ...


class Fragments:
    """The table of fragment blocks."""

    def __init__(self, table: Table, reader: Reader, start: int, count: int) -> None:
        self._table = table
        self._reader = reader
        self._start = start
        self._count = count

    def row(self, number: int) -> tuple[int, int]:
        """Return where a fragment block starts, and its stored size."""
        if number >= self._count:
            raise Unscannable("malformed", f"fragment {number} of {self._count}")
        page, row = divmod(number, _ROWS_A_BLOCK)
        (place,) = struct.unpack("<Q", self._reader.read(self._start + 8 * page, 8))
        block, _ = self._table.block(place)
        if (row + 1) * _ROW.size > len(block):
            raise Unscannable("malformed", "the fragment table is cut off")
        start, stored, _unused = _ROW.unpack_from(block, row * _ROW.size)
        return start, stored


class Blocks:
    """Reads data blocks; safe to use from several threads."""

    def __init__(self, reader: Reader, layout: Layout, fragments: Fragments) -> None:
        self._reader = reader
        self._layout = layout
        self._fragments = fragments
        self._tail: tuple[int, bytes] = (-1, b"")
        self._kept: dict[int, bytes] = {}
        self.block_size = layout.block_size

    def unfold(self, start: int, stored: int, limit: int) -> bytes:
        """Return the first `limit` bytes of a block, or all if it holds fewer."""
        size = stored & _STORED
        if stored >> 25 or size > self.block_size:
            raise Unscannable("malformed", f"a data block of {size} bytes (at most {self.block_size})")
        if size == 0:
            return bytes(limit)
        if stored & _AS_IS:
            return self._reader.read(start, min(size, limit))
        if limit <= _TASTE // 8 and self._layout.compression in STOPS_EARLY and size > _TASTE:
            data = self._layout.inflate(self._reader.read(start, _TASTE), limit)
            if len(data) == limit:
                return data
        return self._layout.inflate(self._reader.read(start, size), limit)

    def fragment(self, number: int, limit: int) -> bytes:
        """Return the first `limit` bytes of a fragment block; the last one asked for is at hand, as are those kept."""
        if number in self._kept:
            return self._kept[number]
        kept, data = self._tail
        if kept == number and len(data) >= limit:
            return data
        start, stored = self._fragments.row(number)
        if not stored & _STORED:
            raise Unscannable("malformed", f"fragment {number} is empty")
        data = self.unfold(start, stored, limit)
        self._tail = (number, data)
        return data

    def keep(self, number: int, data: bytes) -> None:
        """Keep a whole fragment block for those who come back to it, as long as there is room."""
        if len(self._kept) < _KEPT // self.block_size:
            self._kept[number] = data

    def forget(self) -> None:
        """Drop all that was kept."""
        self._kept.clear()

    def count(self, data: FileData) -> int:
        """Return how many blocks of its own a file has."""
        whole, rest = divmod(data.size, self.block_size)
        return whole + 1 if rest and data.fragment == _NO_FRAGMENT else whole

    def content(self, data: FileData, sizes: bytes) -> FileContent:
        """Return a file's content, given the 4-byte sizes of its blocks."""
        return FileContent(self, data, [size for (size,) in struct.iter_unpack("<I", sizes)])


class FileContent:
    """A regular file in a squashfs."""

    def __init__(self, blocks: Blocks, data: FileData, sizes: Sequence[int]) -> None:
        self.size = data.size
        self._blocks = blocks
        self._data = data
        self._sizes = sizes
        self._starts = list(accumulate((size & _STORED for size in sizes), initial=data.start))
        self._known: tuple[int, bytes] = (-1, b"")

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`, unfolding no block further than that."""
        end = min(self.size, offset + length)
        parts = []
        while offset < end:
            number, first = divmod(offset, self._blocks.block_size)
            last = min(end - number * self._blocks.block_size, self._blocks.block_size)
            parts.append(self._unfolded(number, last)[first:last])
            offset += last - first
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """Yield the whole content, block by block."""
        for offset in range(0, self.size, self._blocks.block_size):
            yield self.read(offset, self._blocks.block_size)

    def _unfolded(self, number: int, limit: int) -> bytes:
        kept, data = self._known
        if kept == number and len(data) >= limit:
            return data
        if number < len(self._sizes):
            data = self._blocks.unfold(self._starts[number], self._sizes[number], limit)
        else:
            data = self._tail(limit)
        if len(data) < limit:
            raise Unscannable("malformed", "a data block unfolds to less than the file's size")
        self._known = (number, data)
        return data

    def _tail(self, limit: int) -> bytes:
        first = self._data.fragment_offset
        return self._blocks.fragment(self._data.fragment, first + limit)[first : first + limit]


def heads(
    blocks: Blocks, files: Sequence[FileData], length: int, first_size: Callable[[FileData], int]
) -> Iterator[tuple[int, bytes]]:
    """Yield (index, first bytes) of many files: each fragment block is unfolded once, and no further than needed."""
    blocks.forget()
    alone: list[tuple[int, int, int]] = []
    shared: dict[int, list[int]] = {}
    for index, data in enumerate(files):
        if data.size >= blocks.block_size or data.fragment == _NO_FRAGMENT:
            if data.size:
                alone.append((data.start, first_size(data), index))
        else:
            shared.setdefault(data.fragment, []).append(index)
    alone.sort()

    def of_block(task: tuple[int, int, int]) -> tuple[int, bytes]:
        start, stored, index = task
        return index, blocks.unfold(start, stored, min(length, files[index].size))

    def of_fragment(number: int) -> list[tuple[int, bytes]]:
        return list(_pieces(blocks, files, shared[number], length))

    yield from in_threads(of_block, alone)
    for pieces in in_threads(of_fragment, sorted(shared)):
        yield from pieces


def _pieces(
    blocks: Blocks, files: Sequence[FileData], indexes: Sequence[int], length: int
) -> Iterator[tuple[int, bytes]]:
    """Yield (index, first bytes) of files whose whole content is in one fragment block."""
    ends = [files[index].fragment_offset + min(length, files[index].size) for index in indexes]
    number = files[indexes[0]].fragment
    data = blocks.fragment(number, blocks.block_size)
    if max(ends) > len(data):
        raise Unscannable("malformed", "a file lies outside of its fragment block")
    executables = False
    for index, end in zip(indexes, ends, strict=True):
        head = data[files[index].fragment_offset : end]
        executables = executables or head.startswith(_EXECUTABLES)
        yield index, head
    if executables:
        blocks.keep(number, data)
