# SPDX-License-Identifier: Apache-2.0
"""Go binaries are found wherever Go's own reader would find them, from their headers and one region."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from sifgate.image.gobinary import MAGIC, has_build_info, looked_at

SIZE = 1 << 20
REGION = 0x40000


class Counted:
    """Content that counts which bytes were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.asked = 0

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes and count them."""
        found = self.data[offset : offset + length]
        self.asked += len(found)
        return found

    def chunks(self) -> Iterator[bytes]:
        """Yield everything."""
        yield self.data


def elf(order: str, bits: int, *, section: bool, magic_at: int, sections: int = 2, kind: int = 2) -> bytes:
    """Return an ELF file of 1 MiB with one writable segment at REGION and, if wanted, a section over its start."""
    wide = bits == 64
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    header = struct.Struct(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"))
    program = struct.Struct(order + ("IIQQQQQQ" if wide else "IIIIIIII"))
    row = struct.Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"))
    head = 16 + header.size
    names = b"\0.shstrtab\0.go.buildinfo\0"
    table_at, names_at = SIZE - 4096, SIZE - 8192
    address = 0x8000000
    data = bytearray(SIZE)
    fields = (kind, 62, 1, 0, head, table_at, 0, head, program.size, 1, row.size, sections + section, 1)
    data[:head] = ident + header.pack(*fields)
    parts = (
        (1, 6, REGION, address, address, 0x20000, 0x30000, 16)
        if wide
        else (1, REGION, address, address, 0x20000, 0x30000, 6, 16)
    )
    data[head : head + program.size] = program.pack(*parts)
    rows = [row.pack(*([0] * 10)), row.pack(1, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)]
    if section:
        rows.append(row.pack(11, 1, 3, address, REGION, 64, 0, 0, 16, 0))
    data[table_at : table_at + sum(map(len, rows))] = b"".join(rows)
    data[names_at : names_at + len(names)] = names
    data[magic_at : magic_at + len(MAGIC)] = MAGIC
    return bytes(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("section", [True, False])
def test_build_info_in_its_region_is_found(order: str, bits: int, *, section: bool) -> None:
    """In the section, or else anywhere in the first writable segment, without reading the rest."""
    at = REGION if section else REGION + 0x1FF00
    content = Counted(elf(order, bits, section=section, magic_at=at))
    assert has_build_info(content)
    assert content.asked < SIZE // 4


@pytest.mark.parametrize("bits", [32, 64])
def test_magic_elsewhere_is_not_build_info(bits: int) -> None:
    """A program that merely mentions the magic, as Go's own tools do, is left to other rules."""
    content = Counted(elf("<", bits, section=True, magic_at=0x1000))
    assert not has_build_info(content)
    assert content.asked < SIZE // 4


def test_doubtful_headers_are_searched_whole() -> None:
    """Where a header lies, the whole file is searched: rather one file too many than one missed."""
    data = bytearray(elf("<", 64, section=True, magic_at=0x90000))
    data[58:60] = struct.pack("<H", 7)  # size of a section header
    assert has_build_info(Counted(bytes(data)))


@pytest.mark.parametrize("data", [b"MZ" + bytes(5000) + MAGIC, b"MZ" + bytes((1 << 20) - 10) + MAGIC + b"x"])
def test_windows_binaries_are_searched_whole(data: bytes) -> None:
    """Also across the border of two pieces."""
    assert has_build_info(Counted(data))


@pytest.mark.parametrize("cut", [17, 20, 63, 64, 100, REGION, SIZE - 4096])
def test_truncated_files_never_raise(cut: int) -> None:
    """A file that ends anywhere gives an answer."""
    has_build_info(Counted(elf("<", 64, section=True, magic_at=REGION)[:cut]))


def test_only_programs_and_libraries_are_looked_at() -> None:
    """ELF of type EXEC and DYN in either byte order, and anything with MZ; no object files, no text."""
    assert looked_at(elf("<", 64, section=True, magic_at=99, kind=2)[:18])
    assert looked_at(elf(">", 32, section=True, magic_at=99, kind=3)[:18])
    assert looked_at(b"MZ" + bytes(16))
    assert not looked_at(elf("<", 64, section=True, magic_at=99, kind=1)[:18])
    assert not looked_at(b"#!/bin/sh\n" * 3)
    assert not looked_at(b"MZ")
