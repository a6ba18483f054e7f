# SPDX-License-Identifier: Apache-2.0
"""Whether a Java archive can be handed to Clair, which holds it and every archive inside it in memory at once.

Clair (claircore java/jar, Go archive/zip) allocates what the central directory declares, reads manifests whole, and
recurses. Which directory Go takes depends on subtle rules; so we do not choose: every central header *anywhere* in the
bytes counts, which is more than Go can ever see. Files that Go takes for no archive at all pass.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from isal import isal_zlib

from sifgate.image.tree import Content

EXTENSIONS = (b".jar", b".war", b".ear", b".jpi", b".hpi")
SMALLEST = 22
"""An empty zip; Clair skips what is smaller."""

_CENTRAL = b"PK\x01\x02"
_LOCAL = b"PK\x03\x04"
_HEADER = struct.Struct("<4s6H3I5H2I")
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_DEFLATED = 8
_ZIP64 = 1
_UNSET = 0xFFFFFFFF
_PIECE = 1 << 20
_DEEPEST = 8
_MOST_ENTRIES = 500_000
_MOST_SLASHES = 2_000_000
_LONGEST_MANIFEST = 16 << 20
_IN_MEMORY = ("manifest.mf", "pom.properties")


class _Unsafe(Exception):
    """Why an archive is not handed on."""


class _Entry(NamedTuple):
    """One central header."""

    name: bytes
    method: int
    stored: int
    size: int
    offset: int


class _Bytes:
    """An inner archive, unfolded."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def chunks(self) -> Iterator[bytes]:
        yield self._data


class _Vetting:
    """The counts of one outermost archive."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.entries = 0
        self.slashes = 0

    def spend(self, size: int) -> None:
        self.budget -= size
        if self.budget < 0:
            raise _Unsafe("the archives inside it unfold to too much")

    def count(self, entry: _Entry) -> None:
        self.entries += 1
        self.slashes += entry.name.count(b"/")
        if self.entries > _MOST_ENTRIES or self.slashes > _MOST_SLASHES:
            raise _Unsafe("it lists too many members")


def why_unsafe(content: Content, budget: int) -> str:
    """Return why an archive could exhaust Clair's memory or stack, or "" if it cannot."""
    vetting = _Vetting(budget)
    try:
        vetting.spend(content.size)
        _vet(content, vetting, 0)
    except _Unsafe as reason:
        return str(reason)
    return ""


def _vet(content: Content, vetting: _Vetting, depth: int) -> None:
    if depth > _DEEPEST:
        raise _Unsafe("archives are nested too deeply")
    for entry in _entries(content):
        vetting.count(entry)
        name = entry.name.lower()
        if name.endswith(tuple(each.encode() for each in _IN_MEMORY)):
            if entry.size > _LONGEST_MANIFEST:
                raise _Unsafe("a manifest inside it is too large")
        elif name.endswith(EXTENSIONS) and entry.size >= SMALLEST:
            vetting.spend(entry.size)
            if entry.method == _DEFLATED:
                for inner in _unfolded(content, entry):
                    _vet(inner, vetting, depth + 1)


def _entries(content: Content) -> Iterator[_Entry]:
    """Yield whatever looks like a central header, wherever it lies."""
    for offset in _places(content):
        raw = content.read(offset, _HEADER.size)
        if len(raw) < _HEADER.size:
            return
        fields = _HEADER.unpack(raw)
        stored, size = fields[8], fields[9]
        name_size, extra_size = fields[10], fields[11]
        text = content.read(offset + _HEADER.size, name_size + extra_size)
        place = fields[16]
        if _UNSET in {stored, size, place}:
            size, stored, place = _large(text[name_size:], size, stored, place)
        yield _Entry(text[:name_size], fields[4], stored, size, place)


def _places(content: Content) -> Iterator[int]:
    overlap = len(_CENTRAL) - 1
    for start in range(0, content.size, _PIECE):
        piece = content.read(start, _PIECE + overlap)
        at = piece.find(_CENTRAL)
        while at >= 0:
            yield start + at
            at = piece.find(_CENTRAL, at + 1)


def _large(extra: bytes, size: int, stored: int, place: int) -> tuple[int, int, int]:
    """Return the 64-bit values that an extra field gives for those that do not fit in 32 bits."""
    while len(extra) >= 4:  # noqa: PLR2004  tag and size
        tag, length = struct.unpack_from("<HH", extra)
        values = extra[4 : 4 + length]
        extra = extra[4 + length :]
        if tag != _ZIP64:
            continue
        numbers = iter(struct.unpack(f"<{len(values) // 8}Q", values[: len(values) // 8 * 8]))
        size = next(numbers, size) if size == _UNSET else size
        stored = next(numbers, stored) if stored == _UNSET else stored
        place = next(numbers, place) if place == _UNSET else place
    return size, stored, place


def _unfolded(content: Content, entry: _Entry) -> Iterator[Content]:
    """Yield what a deflated member holds, for each place at which its local header could lie."""
    for base in {0, _shift(content)}:
        header = content.read(base + entry.offset, _LOCAL_HEADER.size) if base + entry.offset >= 0 else b""
        if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL):
            continue
        *_, name_size, extra_size = _LOCAL_HEADER.unpack(header)
        start = base + entry.offset + _LOCAL_HEADER.size + name_size + extra_size
        try:
            raw = content.read(start, min(entry.stored, content.size))
            yield _Bytes(isal_zlib.decompressobj(-15).decompress(raw, entry.size))
        except isal_zlib.IsalError:  # type: ignore[misc]  # the stubs do not know that it is an exception
            continue


def _shift(content: Content) -> int:
    """Return how far all offsets are off, as Go reckons from the end record; 0 if there is none."""
    tail = content.read(max(0, content.size - 65 * 1024), 65 * 1024)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + SMALLEST > len(tail):
        return 0
    size, offset = struct.unpack_from("<II", tail, at + 12)
    return max(0, content.size - len(tail) + at - int(size) - int(offset))
