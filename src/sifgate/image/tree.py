# SPDX-License-Identifier: Apache-2.0
"""What a file tree is to the slim layer, whether it lies in a squashfs, in a directory or in a slim layer itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from sifgate.errors import Unscannable
from sifgate.image.bounds import Bounds

Path = tuple[bytes, ...]
"""A place in the tree: its names from the root, none of them empty, `.`, `..` or with a slash."""


class Kind(IntEnum):
    """What an entry is; devices, sockets and pipes are all `OTHER`: nothing ever opens them."""

    DIRECTORY = 1
    FILE = 2
    SYMLINK = 3
    OTHER = 4


class Entry(NamedTuple):
    """One directory entry."""

    kind: Kind
    mode: int
    """The twelve permission bits."""
    size: int
    """Bytes of a regular file."""
    handle: Any
    """Where its tree finds it again; nothing else looks at it."""


class Content(Protocol):
    """The bytes of one regular file, at any place; reading past the end gives less, never an error."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes in order, in pieces that fit in memory."""
        ...


class Tree(Protocol):
    """A read-only file tree from a hostile source; every method raises `Unscannable` on what cannot be right."""

    root: Entry
    expected: int
    """How many entries there should be, for progress only; 0 if unknown."""
    notes: set[str]
    """What could not be read, each `code: path`."""

    def children(self, directory: Entry) -> Iterable[tuple[bytes, Entry]]:
        """Return names and entries of a directory, in byte order of the names, each name once."""
        ...

    def target(self, link: Entry) -> bytes:
        """Return what a symlink says."""
        ...

    def content(self, file: Entry) -> Content:
        """Return the content of a regular file."""
        ...

    def heads(self, files: Sequence[Entry], length: int) -> Iterator[tuple[int, bytes]]:
        """Yield (index in `files`, first `length` bytes or fewer) in whatever order is cheapest."""
        ...

    def bytes_read(self) -> int:
        """Return how many bytes of the image were read so far."""
        ...


def shown(path: Path) -> str:
    """Return a path for people and for facts: ASCII, nothing in it that a terminal obeys."""
    return "".join(
        character if 32 <= ord(character) < 127 else f"\\x{ord(character):02x}"  # noqa: PLR2004  printable ASCII
        for character in b"/".join(path).decode("latin-1")
    )


def check_name(name: bytes) -> bytes:
    """Return a name that a directory may hold; raises `Unscannable` for those that lead elsewhere."""
    if not name or name in {b".", b".."} or b"/" in name or b"\0" in name:
        raise Unscannable("malformed", f"a directory holds the name {name!r}")
    return name


def walk(tree: Tree, bounds: Bounds) -> Iterator[tuple[Path, list[tuple[bytes, Entry]]]]:
    """Yield every directory with its entries, parents before children, in byte order; within the bounds."""
    waiting: list[tuple[Path, Entry]] = [((), tree.root)]
    visited = set()
    seen = 0
    while waiting:
        path, directory = waiting.pop()
        if directory.handle in visited:
            raise Unscannable("malformed", "a directory is reached by two ways")
        visited.add(directory.handle)
        if len(path) >= bounds.depth:
            raise Unscannable("bounds", f"directories are nested deeper than {bounds.depth}")
        entries: list[tuple[bytes, Entry]] = []
        for item in tree.children(directory):
            seen += 1
            if seen > bounds.entries:
                raise Unscannable("bounds", f"more than {bounds.entries} entries")
            if len(entries) >= bounds.directory:
                raise Unscannable("bounds", f"more than {bounds.directory} entries in one directory")
            entries.append(item)
        yield path, entries
        waiting.extend(
            ((*path, name), entry) for name, entry in reversed(entries) if entry.kind is Kind.DIRECTORY
        )


_MAX_LINKS = 40  # Linux: path_resolution(7), MAXSYMLINKS
_CACHED_DIRECTORIES = 256


class Resolver:
    """Looks names up as the kernel would with this tree as the root directory."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._listings: dict[Path, dict[bytes, Entry]] = {}

    def entry(self, path: Path) -> Entry | None:
        """Return what is at a path without following any symlink, or None."""
        here = self._tree.root
        for depth, name in enumerate(path):
            if here.kind is not Kind.DIRECTORY:
                return None
            found = self._listing(path[:depth], here).get(name)
            if found is None:
                return None
            here = found
        return here

    def _listing(self, path: Path, directory: Entry) -> dict[bytes, Entry]:
        listing = self._listings.get(path)
        if listing is None:
            if len(self._listings) >= _CACHED_DIRECTORIES:
                self._listings.clear()
            listing = self._listings[path] = dict(self._tree.children(directory))
        return listing

    def resolve(self, path: Path, links: list[Path] | None = None) -> tuple[Path, Entry] | None:
        """Return where a path leads, all symlinks followed, and what is there; None if nothing, or a loop.

        The places of the symlinks that were followed are appended to `links`.
        """
        todo = list(reversed(path))
        here: list[bytes] = []
        followed = 0
        while todo:
            name = todo.pop()
            if name in {b"", b"."}:
                continue
            if name == b"..":
                del here[-1:]
                continue
            entry = self.entry((*here, name))
            if entry is None:
                return None
            if entry.kind is Kind.SYMLINK:
                followed += 1
                if followed > _MAX_LINKS:
                    return None
                if links is not None:
                    links.append((*here, name))
                target = self._tree.target(entry)
                if not target:
                    return None
                if target.startswith(b"/"):
                    here.clear()
                todo.extend(reversed(target.split(b"/")))
                continue
            if entry.kind is not Kind.DIRECTORY and any(todo):
                return None
            here.append(name)
        place = tuple(here)
        final = self.entry(place)
        return None if final is None else (place, final)
