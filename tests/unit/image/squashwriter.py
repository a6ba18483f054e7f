# SPDX-License-Identifier: Apache-2.0
"""A writer of squashfs images that does what no honest tool does: any name, any order, any node anywhere.

Nothing is compressed; written from the format's documentation, not from our reader. One inode per node object: a node
that is named twice is a hard link, or a directory reached by two ways, or a cycle.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

BLOCK = 1 << 17
METADATA = 8192
AS_IS = 1 << 24
NO_FRAGMENT = 0xFFFFFFFF


@dataclass(eq=False)
class File:
    """A regular file; `size` and `sizes` may lie about the content."""

    data: bytes = b""
    mode: int = 0o644
    size: int | None = None
    sizes: list[int] | None = None


@dataclass(eq=False)
class Link:
    """A symlink."""

    target: bytes
    mode: int = 0o777


@dataclass(eq=False)
class Pipe:
    """A FIFO."""

    mode: int = 0o644


@dataclass(eq=False)
class Directory:
    """A directory whose entries come in the order given."""

    entries: list[tuple[bytes, Node]] = field(default_factory=list)
    mode: int = 0o755

    def add(self, path: str, node: Node) -> Directory:
        """Put a node at a path, making directories on the way; returns self."""
        first, slash, rest = path.partition("/")
        if not slash:
            self.entries.append((first.encode(), node))
            return self
        below = next((each for name, each in self.entries if name == first.encode()), None)
        if not isinstance(below, Directory):
            below = Directory()
            self.entries.append((first.encode(), below))
        below.add(rest, node)
        return self


Node = File | Link | Pipe | Directory


def tree(files: dict[str, Node]) -> Directory:
    """Return a root directory, honestly sorted."""
    root = Directory()
    for path, node in files.items():
        root.add(path, node)
    _sort(root)
    return root


def _sort(directory: Directory) -> None:
    directory.entries.sort(key=lambda entry: entry[0])
    for _, node in directory.entries:
        if isinstance(node, Directory):
            _sort(node)


class _Writer:
    def __init__(self, root: Directory) -> None:
        self.nodes: list[Node] = []
        self.places: dict[int, int] = {}
        self.data = bytearray()
        self.listings = bytearray()
        offset = 0
        for node in _all(root):
            self.places[id(node)] = offset
            self.nodes.append(node)
            offset += _inode_size(node)

    def place(self, node: Node) -> tuple[int, int]:
        block, offset = divmod(self.places[id(node)], METADATA)
        return block * (METADATA + 2), offset

    def inode(self, number: int, node: Node) -> bytes:
        def header(kind: int) -> bytes:
            return struct.pack("<HHHHII", kind, node.mode, 0, 0, 0, number)

        if isinstance(node, Directory):
            start, size = self.listing(node)
            block, offset = divmod(start, METADATA)
            return header(8) + struct.pack(
                "<IIIIHHI", 2, size + 3, block * (METADATA + 2), 0, 0, offset, NO_FRAGMENT
            )
        if isinstance(node, Link):
            return header(3) + struct.pack("<II", 1, len(node.target)) + node.target
        if isinstance(node, Pipe):
            return header(6) + struct.pack("<I", 1)
        start = 96 + len(self.data)
        self.data += node.data
        sizes = _sizes(node)
        size = len(node.data) if node.size is None else node.size
        fields = struct.pack("<QQQIIII", start, size, 0, 1, NO_FRAGMENT, 0, NO_FRAGMENT)
        return header(9) + fields + struct.pack(f"<{len(sizes)}I", *sizes)

    def listing(self, directory: Directory) -> tuple[int, int]:
        start = len(self.listings)
        for block, run in _runs([(*self.place(node), name, node) for name, node in directory.entries]):
            self.listings += struct.pack("<III", len(run) - 1, block, 0)
            for offset, name, node in run:
                self.listings += struct.pack("<HhHH", offset, 0, _kind(node), len(name) - 1) + name
        return start, len(self.listings) - start


def _runs(
    entries: list[tuple[int, int, bytes, Node]],
) -> Iterator[tuple[int, list[tuple[int, bytes, Node]]]]:
    run: list[tuple[int, bytes, Node]] = []
    current = -1
    for block, offset, name, node in entries:
        if run and (block != current or len(run) == 256):
            yield current, run
            run = []
        current = block
        run.append((offset, name, node))
    if run:
        yield current, run


def _all(root: Directory) -> Iterator[Node]:
    seen = set()
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, Directory):
            waiting.extend(each for _, each in node.entries)


def _kind(node: Node) -> int:
    return {Directory: 1, File: 2, Link: 3, Pipe: 6}[type(node)]


def _sizes(file: File) -> list[int]:
    if file.sizes is not None:
        return file.sizes
    return [min(BLOCK, len(file.data) - at) | AS_IS for at in range(0, len(file.data), BLOCK)]


def _inode_size(node: Node) -> int:
    if isinstance(node, Directory):
        return 40
    if isinstance(node, Link):
        return 24 + len(node.target)
    return 20 if isinstance(node, Pipe) else 56 + 4 * len(_sizes(node))


def _metadata(raw: bytes) -> bytes:
    pieces = [raw[at : at + METADATA] for at in range(0, len(raw), METADATA)]
    return b"".join(struct.pack("<H", len(piece) | 0x8000) + piece for piece in pieces)


def write(root: Directory, *, compression: int = 1, version: tuple[int, int] = (4, 0)) -> bytes:
    """Return the image, padded to 4 KiB as mksquashfs does."""
    writer = _Writer(root)
    inodes = _metadata(b"".join(writer.inode(number, node) for number, node in enumerate(writer.nodes, 1)))
    listings = _metadata(bytes(writer.listings))
    ids = _metadata(struct.pack("<I", 0))
    at_inodes = 96 + len(writer.data)
    at_listings = at_inodes + len(inodes)
    at_ids = at_listings + len(listings)
    used = at_ids + len(ids) + 8
    block, offset = writer.place(root)
    none = 0xFFFFFFFFFFFFFFFF
    superblock = struct.pack(
        "<4s4I6H8Q",
        *(b"hsqs", len(writer.nodes), 0, BLOCK, 0),
        *(compression, 17, 0x10, 1, *version),
        *(block << 16 | offset, used, at_ids + len(ids), none, at_inodes, at_listings, none, none),
    )
    image = superblock + writer.data + inodes + listings + ids + struct.pack("<Q", at_ids)
    return bytes(image).ljust(-(-len(image) // 4096) * 4096, b"\0")
