# SPDX-License-Identifier: Apache-2.0
r"""A writer of SIF files (specification version 01), for tests and demo; written from the format, not from our reader.

::

    0      32  launch script, NUL padded          ┐
    32     10  "SIF_MAGIC\0"                      │
    42      3  version "01\0"                     │
    45      3  architecture of the primary        │  global header,
    48     16  UUID, zero: deterministic          │  128 bytes,
    64  8 × 8  created, modified, free and total  │  little-endian,
               descriptors, table offset and      │  packed
               size, data offset and size         ┘
    4096       48 descriptors of 585 bytes
    32176      data objects; partitions aligned to 4096
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

HEADER = struct.Struct("<32s10s3s3s16s8q")
DESCRIPTOR = struct.Struct("<i?IIIqqqqqqq128s384s")
TABLE_OFFSET = 4096
TABLE_ENTRIES = 48
DATA_OFFSET = TABLE_OFFSET + TABLE_ENTRIES * DESCRIPTOR.size
ALIGNMENT = 4096
NO_TIME = -62135596800
"""Go's zero time: what deterministic images carry."""
GROUP_MASK = 0xF0000000
LAUNCH = b"#!/usr/bin/env run-singularity\n"
ARCHITECTURES = {"386": b"01", "amd64": b"02", "arm": b"03", "arm64": b"04", "ppc64le": b"06", "s390x": b"10"}

DEFFILE, LABELS, PARTITION, GENERIC_JSON = 0x4001, 0x4003, 0x4004, 0x4006
SQUASHFS, EXT3, RAW, ENCRYPTED, GOCRYPTFS = 1, 2, 4, 5, 6
SYSTEM, PRIMARY, DATA, OVERLAY = 1, 2, 3, 4


@dataclass(frozen=True)
class SifObject:
    """One data object; `data` is the bytes or a file that holds them."""

    data_type: int
    data: bytes | Path
    name: str = ""
    extra: bytes = b""
    """Type-specific part of the descriptor, at most 384 bytes."""
    group: int = 1
    link: int = 0

    @property
    def size(self) -> int:
        """Return the number of bytes of the data."""
        return self.data.stat().st_size if isinstance(self.data, Path) else len(self.data)


def partition(
    data: bytes | Path,
    file_system: int = SQUASHFS,
    kind: int = PRIMARY,
    architecture: str = "amd64",
    name: str = "",
) -> SifObject:
    """Return a partition object, by default the primary one with a squashfs in it."""
    extra = struct.pack("<ii3s", file_system, kind, ARCHITECTURES[architecture])
    return SifObject(PARTITION, data, name or "squashfs", extra)


def write_sif(
    target: Path, objects: Sequence[SifObject], architecture: str = "amd64", launch: bytes = LAUNCH
) -> None:
    """Write an image with these objects, in this order; equal arguments give equal bytes."""
    if len(objects) > TABLE_ENTRIES:
        raise ValueError(f"too many objects: {len(objects)}, the table has {TABLE_ENTRIES} places")
    with target.open("wb") as output:
        table, end = [], DATA_OFFSET
        for number, item in enumerate(objects, start=1):
            offset = -(-end // ALIGNMENT) * ALIGNMENT if item.data_type == PARTITION else end
            table.append(_descriptor(number, item, offset, padded=offset - end + item.size))
            _copy(item.data, output, offset)
            end = offset + item.size
        output.seek(0)
        output.write(_header(len(objects), end - DATA_OFFSET, ARCHITECTURES[architecture], launch))
        output.seek(TABLE_OFFSET)
        output.write(b"".join(table).ljust(TABLE_ENTRIES * DESCRIPTOR.size, b"\0"))


def _header(used: int, data_size: int, architecture: bytes, launch: bytes) -> bytes:
    numbers = (
        *(NO_TIME, NO_TIME, TABLE_ENTRIES - used, TABLE_ENTRIES),
        *(TABLE_OFFSET, TABLE_ENTRIES * DESCRIPTOR.size, DATA_OFFSET, data_size),
    )
    return HEADER.pack(launch, b"SIF_MAGIC", b"01", architecture, bytes(16), *numbers)


def _descriptor(number: int, item: SifObject, offset: int, padded: int) -> bytes:
    group = item.group | GROUP_MASK
    owner = (NO_TIME, NO_TIME, 0, 0)
    placed = (number, group, item.link, offset, item.size, padded, *owner)
    return DESCRIPTOR.pack(item.data_type, True, *placed, item.name.encode(), item.extra)


def _copy(data: bytes | Path, output: BinaryIO, offset: int) -> None:
    output.seek(offset)
    if isinstance(data, Path):
        with data.open("rb") as source:
            shutil.copyfileobj(source, output, 1 << 20)
    else:
        shutil.copyfileobj(BytesIO(data), output)
