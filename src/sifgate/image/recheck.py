# SPDX-License-Identifier: Apache-2.0
"""An uploaded slim layer, read again as if it were an image: the slim layer of a slim layer is that layer itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from sifgate.errors import Unscannable
from sifgate.image.bounds import Bounds
from sifgate.image.examine import Examined, slim_layer
from sifgate.image.reader import Reader
from sifgate.image.tarball import DIRECTORY, FILE, SYMLINK, Member, members
from sifgate.image.tree import Content, Entry, Kind, check_name

_KINDS = {FILE: Kind.FILE, DIRECTORY: Kind.DIRECTORY, SYMLINK: Kind.SYMLINK}
_PIECE = 1 << 20


class LayerTree:
    """The tree in a slim layer; directories that are only part of a path are there too."""

    def __init__(self, reader: Reader, bounds: Bounds) -> None:
        self._reader = reader
        self.expected = 0
        self.notes: set[str] = set()
        self.root = Entry(Kind.DIRECTORY, 0o755, 0, ())
        self._listings: dict[tuple[bytes, ...], dict[bytes, Entry]] = {(): {}}
        before = b""
        for member in members(reader, bounds.entries):
            if before and member.name <= before:
                raise Unscannable("malformed", "the layer's members repeat or are out of order")
            before = member.name
            self._add(tuple(check_name(name) for name in member.name.split(b"/")), member)

    def _add(self, path: tuple[bytes, ...], member: Member) -> None:
        for depth in range(len(path) - 1):
            listing = self._listings[path[:depth]]
            entry = listing.setdefault(path[depth], Entry(Kind.DIRECTORY, 0o755, 0, path[: depth + 1]))
            if entry.kind is not Kind.DIRECTORY:
                raise Unscannable("malformed", "a member of the layer lies below a file")
            self._listings.setdefault(path[: depth + 1], {})
        listing = self._listings[path[:-1]]
        if path[-1] in listing:
            raise Unscannable("malformed", "the layer's members repeat")
        kind = _KINDS[member.kind]
        listing[path[-1]] = Entry(kind, member.mode, member.size, path if kind is Kind.DIRECTORY else member)
        if kind is Kind.DIRECTORY:
            self._listings.setdefault(path, {})

    def children(self, directory: Entry) -> list[tuple[bytes, Entry]]:
        """Return names and entries of a directory, in byte order."""
        return sorted(self._listings[directory.handle].items())

    def target(self, link: Entry) -> bytes:
        """Return what a symlink says."""
        member: Member = link.handle
        return member.target

    def content(self, file: Entry) -> Content:
        """Return the content of a regular file."""
        return _Piece(self._reader, file.handle)

    def heads(self, files: Sequence[Entry], length: int) -> Iterator[tuple[int, bytes]]:
        """Yield the first bytes of many files."""
        for index, file in enumerate(files):
            yield index, self.content(file).read(0, length)

    def bytes_read(self) -> int:
        """Return how many bytes of the layer were read so far."""
        return self._reader.bytes_read


class _Piece:
    """The content of one member."""

    def __init__(self, reader: Reader, member: Member) -> None:
        self._reader = reader
        self._offset = member.offset
        self.size = member.size

    def read(self, offset: int, length: int) -> bytes:
        wanted = min(length, max(0, self.size - offset))
        return self._reader.read(self._offset + offset, wanted) if wanted else b""

    def chunks(self) -> Iterator[bytes]:
        for offset in range(0, self.size, _PIECE):
            yield self.read(offset, _PIECE)


class _Same:
    """Takes the bytes that the layer should have and compares them with those that it has."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._offset = 0

    def write(self, data: bytes) -> None:
        if self._offset + len(data) > self._reader.size or self._reader.read(self._offset, len(data)) != data:
            raise Unscannable("malformed", "the layer is not what its own content gives")
        self._offset += len(data)


def reexamine(fd: int, bounds: Bounds) -> Examined:
    """Return the facts that a layer itself shows; raises `Unscannable` unless it is a slim layer, byte for byte."""
    reader = Reader(fd, 0, os.fstat(fd).st_size, bounds.bytes_read)
    tree = LayerTree(reader, bounds)
    facts, size = slim_layer(tree, bounds, _Same(reader))
    if size != reader.size:
        raise Unscannable("malformed", "the layer is longer than what its own content gives")
    return Examined(image_format="layer", facts=facts, bytes_read=reader.bytes_read, layer_size=size)
