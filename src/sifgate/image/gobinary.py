# SPDX-License-Identifier: Apache-2.0
"""Whether an executable holds Go build information, from its headers and one region, as `debug/buildinfo` looks.

Clair's gobin asks Go's `debug/buildinfo.Read`: in an ELF file it searches the section `.go.buildinfo`, or without one
the first segment that is loaded writable and not executable, for 14 magic bytes. We say yes in every case in which it
could, and in some more: at any alignment, and wherever the headers leave a doubt we search the whole file.
Sources: claircore v1.5.48 gobin/gobin.go, Go debug/buildinfo/buildinfo.go, debug/elf/file.go.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from sifgate.image.tree import Content

MAGIC = b"\xff Go buildinf:"
HEAD = 18
"""First bytes that tell whether Clair looks into a file at all."""

_HEADERS = 1024
_PIECE = 1 << 20
_LOADED = 1
_EXECUTABLE, _WRITABLE = 1, 2
_STRINGS = 3
_COMPRESSED = 0x800
_SECTION = b".go.buildinfo\0"


class _Shape(NamedTuple):
    """The layout of one ELF class."""

    header: str
    header_size: int
    program: str
    section: str


class _Program(NamedTuple):
    """One segment."""

    kind: int
    flags: int
    offset: int
    address: int
    in_file: int
    in_memory: int


class _Section(NamedTuple):
    """One section."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int


_SHAPES = {
    1: _Shape("HHIIIIIHHHHHH", 52, "IIIIIIII", "IIIIIIIIII"),
    2: _Shape("HHIQQQIHHHHHH", 64, "IIQQQQQQ", "IIQQQQIIQQ"),
}


class _Doubt(Exception):
    """The headers are not as a linker writes them."""


def looked_at(head: bytes) -> bool:
    """Return whether Clair looks into a file that begins so: ELF of type EXEC or DYN, or anything with `MZ`."""
    if len(head) < HEAD:
        return False
    if head.startswith(b"MZ"):
        return True
    if not head.startswith(b"\x7fELF") or head[5] not in {1, 2}:
        return False
    return int.from_bytes(head[16:18], "little" if head[5] == 1 else "big") in {2, 3}


def has_build_info(content: Content) -> bool:
    """Return whether Go's reader could find build information in this file."""
    try:
        ranges = _elf_ranges(content) if content.read(0, _HEADERS)[:4] == b"\x7fELF" else None
    except _Doubt:
        ranges = None
    if ranges is None:
        return _found(content, 0, content.size)
    return any(_found(content, offset, size) for offset, size in ranges)


def _found(content: Content, offset: int, size: int) -> bool:
    """Return whether the magic bytes lie in a range of the file."""
    end = min(content.size, offset + size)
    before = b""
    while offset < end:
        piece = content.read(offset, min(_PIECE, end - offset))
        if not piece:
            return False
        if MAGIC in before + piece:
            return True
        before = piece[1 - len(MAGIC) :]
        offset += len(piece)
    return False


def _elf_ranges(content: Content) -> list[tuple[int, int]]:
    """Return the parts of the file that Go would search; raises `_Doubt` if that is not plain."""
    ident = content.read(0, 16)
    shape = _SHAPES.get(ident[4])
    if shape is None:
        raise _Doubt
    order = "<" if ident[5] == 1 else ">"
    fields = _unpacked(content, order + shape.header, 16, 1)[0]
    program_at, section_at = fields[4], fields[5]
    program_size, programs, section_size, sections, names = fields[8:13]
    found = [
        _program(shape, row)
        for row in _table(content, order + shape.program, program_at, programs, program_size)
    ]
    if sections == 0 and section_at:
        raise _Doubt  # more than 65,279 sections
    rows = [
        _Section(*row[:6])
        for row in _table(content, order + shape.section, section_at, sections, section_size)
    ]
    searched = _build_info_sections(content, rows, names) or _first_writable(found)
    return [
        (
            each.offset + max(start, each.address) - each.address,
            min(start + size, each.address + each.in_file) - max(start, each.address),
        )
        for start, size in searched
        for each in found
        if each.address < start + size and start < each.address + each.in_file
    ]


def _build_info_sections(content: Content, sections: list[_Section], names: int) -> list[tuple[int, int]]:
    """Return address and size of every section `.go.buildinfo`; Go would take the first."""
    if not sections or not names:
        return []
    if names >= len(sections):
        raise _Doubt
    strings = sections[names]
    if strings.kind != _STRINGS or strings.flags & _COMPRESSED or strings.size > _PIECE:
        raise _Doubt
    text = content.read(strings.offset, strings.size)
    if len(text) < strings.size:
        raise _Doubt
    if _SECTION not in text:
        return []
    return [(each.address, each.size) for each in sections if text.startswith(_SECTION, each.name)]


def _first_writable(programs: list[_Program]) -> list[tuple[int, int]]:
    """Return address and size of the first segment that is loaded writable and not executable."""
    for each in programs:
        if each.kind == _LOADED and each.flags & (_EXECUTABLE | _WRITABLE) == _WRITABLE:
            return [(each.address, each.in_memory)]
    return []


def _program(shape: _Shape, row: tuple[int, ...]) -> _Program:
    if shape.header_size == 64:  # noqa: PLR2004  the 64-bit class keeps its flags second, the other one seventh
        kind, flags, offset, address, _physical, in_file, in_memory, _align = row
    else:
        kind, offset, address, _physical, in_file, in_memory, flags, _align = row
    return _Program(kind, flags, offset, address, in_file, in_memory)


def _table(content: Content, form: str, at: int, count: int, size: int) -> list[tuple[int, ...]]:
    if count and size != struct.calcsize(form):
        raise _Doubt
    return _unpacked(content, form, at, count)


def _unpacked(content: Content, form: str, at: int, count: int) -> list[tuple[int, ...]]:
    raw = content.read(at, struct.calcsize(form) * count)
    if len(raw) < struct.calcsize(form) * count:
        raise _Doubt
    return list(struct.iter_unpack(form, raw))
