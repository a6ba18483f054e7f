# SPDX-License-Identifier: Apache-2.0
"""The slim layer as bytes: a GNU tar in exactly one form, so that equal contents are equal bytes.

Members sorted by path, owner 0, time 0, no names of users; types are regular file, directory and symlink only; long
names and links as GNU `L` and `K` records, sizes over 8 GiB in base 256. Clair reads both, but not PAX (clair.md §2.6).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from sifgate.errors import Unscannable

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, DIRECTORY, SYMLINK = b"0", b"5", b"2"
_LONG_NAME, _LONG_LINK = b"L", b"K"
_NAME_FIELD = 100
_OCTAL_SIZE_LIMIT = 8**11


class Sink(Protocol):
    """Where the bytes of a layer go."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""
        ...


def header(name: bytes, kind: bytes, mode: int, size: int, target: bytes = b"") -> bytes:
    """Return the header blocks of one member, with those for long names before it."""
    if kind == DIRECTORY:
        name += b"/"
    parts = []
    if len(target) > _NAME_FIELD:
        parts.append(_long(_LONG_LINK, target))
    if len(name) > _NAME_FIELD:
        parts.append(_long(_LONG_NAME, name))
    parts.append(_block(name, kind, mode, size, target))
    return b"".join(parts)


def padding(size: int) -> bytes:
    """Return the zeros between a member's content and the next block."""
    return bytes(-size % BLOCK)


def _long(kind: bytes, text: bytes) -> bytes:
    content = text + b"\0"
    return _block(b"././@LongLink", kind, 0, len(content), b"") + content + padding(len(content))


def _block(name: bytes, kind: bytes, mode: int, size: int, target: bytes) -> bytes:
    number = b"%011o\0" % size if size < _OCTAL_SIZE_LIMIT else b"\x80" + size.to_bytes(11, "big")
    parts = [
        name[:_NAME_FIELD].ljust(_NAME_FIELD, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        number,
        b"%011o\0" % 0,
        b" " * 8,
        kind,
        target[:_NAME_FIELD].ljust(_NAME_FIELD, b"\0"),
        b"ustar  \0",
    ]
    block = b"".join(parts).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


class Member(NamedTuple):
    """One member as it lies in a layer."""

    name: bytes
    kind: bytes
    mode: int
    size: int
    target: bytes
    offset: int
    """Where its content starts."""


class Source(Protocol):
    """Where the bytes of a layer come from."""

    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly that many bytes, or raise `Unscannable`."""
        ...


def members(source: Source, limit: int) -> Iterator[Member]:
    """Yield the members of a layer; raises `Unscannable` unless its headers are byte for byte what `header` writes."""
    offset = 0
    for _ in range(limit):
        first = offset
        block = source.read(offset, BLOCK)
        if not any(block):
            if offset + len(END) != source.size or any(source.read(offset, len(END))):
                raise Unscannable("malformed", "the layer does not end where it ends")
            return
        link = name = b""
        if block[156:157] == _LONG_LINK:
            link, offset, block = _long_text(source, offset, block)
        if block[156:157] == _LONG_NAME:
            name, offset, block = _long_text(source, offset, block)
        member = _member(block, name, link, offset + BLOCK)
        written = header(member.name, member.kind, member.mode, member.size, member.target)
        if written != source.read(first, offset + BLOCK - first):
            raise Unscannable("malformed", "a header of the layer is not in its one form")
        offset = member.offset + member.size
        if any(source.read(offset, -member.size % BLOCK)):
            raise Unscannable("malformed", "the layer holds bytes between its members")
        offset += -member.size % BLOCK
        yield member
    raise Unscannable("bounds", f"a layer of more than {limit} members")


def _long_text(source: Source, offset: int, block: bytes) -> tuple[bytes, int, bytes]:
    size = _number(block[124:136])
    if not 1 < size <= 1 << 16:
        raise Unscannable("malformed", f"a name of {size} bytes in the layer")
    text = source.read(offset + BLOCK, size)
    following = offset + BLOCK + size + -size % BLOCK
    return text[:-1], following, source.read(following, BLOCK)


def _member(block: bytes, name: bytes, link: bytes, offset: int) -> Member:
    kind = block[156:157]
    if kind not in {FILE, DIRECTORY, SYMLINK}:
        raise Unscannable("malformed", f"a member of type {kind!r} in the layer")
    name = name or block[:_NAME_FIELD].rstrip(b"\0")
    if kind == DIRECTORY:
        name = name.removesuffix(b"/")
    target = link or block[157:257].rstrip(b"\0")
    return Member(name, kind, _number(block[100:108]), _number(block[124:136]), target, offset)


def _number(field: bytes) -> int:
    if field[0] == 0x80:  # noqa: PLR2004  GNU base 256
        return int.from_bytes(field[1:], "big")
    digits = field.rstrip(b"\0")
    if not digits or digits.strip(b"01234567"):
        raise Unscannable("malformed", f"{field!r} is no number of a tar header")
    return int(digits, 8)
