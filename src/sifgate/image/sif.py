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
from typing import NamedTuple

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


def primary_partition(reader: Reader) -> Reader:
    """Return the window of the squashfs that the runtime mounts as `/`; raises `Unscannable` if there is not one."""
    objects = _objects(reader)
    _check_apart(objects)
    primary = [each for each in objects if each.type == _TYPE_PARTITION and _role(each)[1] == _ROLE_PRIMARY]
    if not primary and any(each.type in {_TYPE_OCI_INDEX, _TYPE_OCI_BLOB} for each in objects):
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


def _objects(reader: Reader) -> list[Object]:
    if reader.size < _HEADER.size:
        raise Unscannable("malformed", "too short for a SIF header")
    header = _HEADER.unpack(reader.read(0, _HEADER.size))
    magic, version = header[1], header[2]
    if magic != MAGIC or version != _VERSION:
        raise Unscannable("malformed", f"not a SIF of version 01 (got {magic!r} {version!r})")
    total, offset = header[8], header[9]
    if not 0 < total <= _MOST_DESCRIPTORS:
        raise Unscannable("malformed", f"{total} descriptors")
    if offset < _HEADER.size:
        raise Unscannable("malformed", "the descriptors overlap the header")
    table = reader.read(offset, total * _DESCRIPTOR.size)
    found = [_object(reader, fields) for fields in _DESCRIPTOR.iter_unpack(table) if fields[1]]
    found.append(Object(0, 0, 0, _HEADER.size, b""))
    found.append(Object(0, 0, offset, len(table), b""))
    return found


def _object(reader: Reader, fields: tuple[int, ...]) -> Object:
    data_type, _used, number, _group, _link, offset, size = fields[:7]
    if offset < 0 or size < 0 or offset + size > reader.size:
        raise Unscannable("malformed", f"object {number} lies at {offset} + {size}, past the end of the file")
    extra: bytes = fields[13]  # type: ignore[assignment]  # the last field of the format is bytes
    return Object(data_type, number, offset, size, extra)


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
