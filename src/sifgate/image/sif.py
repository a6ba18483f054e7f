# SPDX-License-Identifier: Apache-2.0
r"""Singularity Image Format, version 01: which part of the file is the root file system.

::

    0      launch script, 32 bytes, NUL padded       "#!/usr/bin/env run-singularity\n"
    32     "SIF_MAGIC\0"   42 "01\0" version        45 architecture, 3 bytes   48 UUID, 16 bytes
    64     created    72 modified    80 free descriptors    88 total descriptors        (int64 each)
    96     offset of the descriptors  104 their size         112 offset of the data  120 size of the data
    ...    descriptors, 585 bytes each, packed:
             0 type  4 used  5 id  9 group  13 link  17 offset  25 size  33 size with padding
             41 ctime  49 mtime  57 uid  65 gid  73 name (128)  201 extra (384)
           extra of a partition: 0 file system  4 role  8 architecture
    ...    the objects; a partition with role 2 is the primary one: what the runtime mounts as /

All numbers are little-endian and hostile. Checked against apptainer/sif and real images.
"""

from __future__ import annotations

import struct
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sifgate.errors import Unscannable
from sifgate.image.reader import Reader

MAGIC = b"SIF_MAGIC\0"
MAGIC_OFFSET = 32
_VERSION = b"01\0"
_HEADER = struct.Struct("<32s10s3s3s16s8q")
_DESCRIPTOR = struct.Struct("<iBIIIqqqqqqq128s384s")
_PARTITION = struct.Struct("<ii3s")
_MOST_DESCRIPTORS = 4096
"""Real images have 48; an OCI-SIF has as many as layers and signatures, plus 8."""

_TYPE_PARTITION = 0x4004
_TYPE_OCI_INDEX = 0x400A
_TYPE_OCI_BLOB = 0x400B
_ROLE_PRIMARY = 2
_SQUASHFS = 1
_FILE_SYSTEMS = {1: "squashfs", 2: "ext3", 3: "an archive", 4: "raw data"}
_ENCRYPTED = {5: "LUKS2", 6: "gocryptfs"}


class Object(NamedTuple):
    """One used descriptor."""

    type: int
    id: int
    offset: int
    size: int
    extra: bytes
    group: int = 0
    """As stored: `GROUP_MASK` and the number of its group, or 0 there for none."""
    link: int = 0
    """As stored: the object, or with the mask the group, that this one is about."""
    created: int = 0
    uid: int = 0
    gid: int = 0
    name: bytes = b""


class Header(NamedTuple):
    """The global header."""

    launch: bytes
    magic: bytes
    version: bytes
    identifier: bytes
    created: int
    """Seconds since 1970."""
    total: int
    """Places in the table of descriptors."""
    offset: int
    """Where that table begins."""


GROUP_MASK = 0xF0000000
_OWN_OBJECTS = 2
"""What the format itself lays into the file: header and table."""


def primary_partition(reader: Reader) -> Reader:
    """Return the window of the squashfs that the runtime mounts as `/`; raises `Unscannable` if there is not one."""
    found = _objects(reader, read_header(reader))
    _check_apart(found)
    primary = [each for each in found if each.type == _TYPE_PARTITION and _role(each)[1] == _ROLE_PRIMARY]
    if not primary and any(each.type in {_TYPE_OCI_INDEX, _TYPE_OCI_BLOB} for each in found):
        raise Unscannable("format", "an OCI-SIF holds layers in place of one file system")
    if len(primary) != 1:
        raise Unscannable("malformed", f"{len(primary)} primary system partitions in place of one")
    file_system = _role(primary[0])[0]
    if file_system in _ENCRYPTED:
        raise Unscannable("encrypted", f"the file system is encrypted ({_ENCRYPTED[file_system]})")
    if file_system != _SQUASHFS:
        what = _FILE_SYSTEMS.get(file_system, f"type {file_system}")
        raise Unscannable("filesystem", f"the primary partition is {what}, not squashfs")
    return reader.window(primary[0].offset, primary[0].size)


def read_header(reader: Reader) -> Header:
    """Return the global header; raises `Unscannable` if this is not a SIF of the one version there is."""
    if reader.size < _HEADER.size:
        raise Unscannable("malformed", "too short for a SIF header")
    fields = _HEADER.unpack(reader.read(0, _HEADER.size))
    header = Header(fields[0], fields[1], fields[2], fields[4], fields[5], fields[8], fields[9])
    if header.magic != MAGIC or header.version != _VERSION:
        raise Unscannable("malformed", f"not a SIF of version 01 (got {header.magic!r} {header.version!r})")
    return header


def created_at(header: Header) -> str:
    """Return the time at which the image says that it was built, ISO in UTC; empty where it says none."""
    try:
        moment = datetime.fromtimestamp(header.created, timezone.utc) if header.created > 0 else None
    except (OverflowError, OSError, ValueError):
        return ""
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def objects(reader: Reader, header: Header) -> list[Object]:
    """Return the objects in the table's order; raises `Unscannable` if they share bytes with anything else."""
    found = _objects(reader, header)
    _check_apart(found)
    return found[:-_OWN_OBJECTS]


def _objects(reader: Reader, header: Header) -> list[Object]:
    """Return the objects, then header and table themselves as objects without number."""
    if not 0 < header.total <= _MOST_DESCRIPTORS:
        raise Unscannable("malformed", f"{header.total} descriptors")
    if header.offset < _HEADER.size:
        raise Unscannable("malformed", "the descriptors overlap the header")
    table = reader.read(header.offset, header.total * _DESCRIPTOR.size)
    found = [_object(reader, fields) for fields in _DESCRIPTOR.iter_unpack(table) if fields[1]]
    found.append(Object(0, 0, 0, _HEADER.size, b""))
    found.append(Object(0, 0, header.offset, len(table), b""))
    return found


def _object(reader: Reader, fields: tuple[Any, ...]) -> Object:
    (
        data_type,
        _used,
        number,
        group,
        link,
        offset,
        size,
        _padded,
        created,
        _modified,
        uid,
        gid,
        name,
        extra,
    ) = fields
    if offset < 0 or size < 0 or offset + size > reader.size:
        raise Unscannable("malformed", f"object {number} lies at {offset} + {size}, past the end of the file")
    return Object(data_type, number, offset, size, extra, group, link, created, uid, gid, name)


def _check_apart(objects: list[Object]) -> None:
    """Raise `Unscannable` if two objects share bytes: the runtime and we could then see different images."""
    end = 0
    for each in sorted((each for each in objects if each.size), key=lambda each: each.offset):
        if each.offset < end:
            raise Unscannable("malformed", f"object {each.id} overlaps another one")
        end = each.offset + each.size


def _role(partition: Object) -> tuple[int, int]:
    file_system, role, _architecture = _PARTITION.unpack_from(partition.extra)
    return file_system, role
