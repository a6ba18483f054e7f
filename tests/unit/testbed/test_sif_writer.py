# SPDX-License-Identifier: Apache-2.0
"""The SIF writer against the tables of the format, read here byte by byte."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from testbed.sif import GENERIC_JSON, PRIMARY, SifObject, partition, write_sif

SQUASHFS_STUB = b"hsqs" + bytes(8000)


def number(data: bytes, offset: int, size: int = 8) -> int:
    """Return a signed little-endian number."""
    return int.from_bytes(data[offset : offset + size], "little", signed=True)


@pytest.fixture
def image(tmp_path: Path) -> bytes:
    """Return the bytes of an image with a JSON object and a primary partition."""
    target = tmp_path / "image.sif"
    write_sif(
        target, [SifObject(GENERIC_JSON, b'{"a":1}', "inspect-metadata.json"), partition(SQUASHFS_STUB)]
    )
    return target.read_bytes()


def test_header_is_where_the_format_says(image: bytes) -> None:
    """The 128 bytes of the global header hold magic, version, architecture and the places of table and data."""
    assert image[:32] == b"#!/usr/bin/env run-singularity\n\0"
    assert image[32:42] == b"SIF_MAGIC\0"
    assert image[42:45] == b"01\0"
    assert image[45:48] == b"02\0"
    assert image[48:64] == bytes(16)
    assert [number(image, at) for at in range(64, 128, 8)] == [
        *(-62135596800, -62135596800, 46, 48),
        *(4096, 48 * 585, 32176, len(image) - 32176),
    ]


def test_descriptor_of_the_partition_is_where_the_format_says(image: bytes) -> None:
    """The second descriptor is the primary squashfs, in group 1, aligned to 4096 bytes, its padding counted."""
    entry = image[4096 + 585 : 4096 + 2 * 585]
    assert (number(entry, 0, 4), entry[4], number(entry, 5, 4)) == (0x4004, 1, 2)
    assert entry[9:13] == struct.pack("<I", 0xF0000001)
    offset, size, padded = (number(entry, at) for at in (17, 25, 33))
    assert (offset % 4096, size) == (0, len(SQUASHFS_STUB))
    assert padded == size + offset - (32176 + 7)
    assert image[offset : offset + size] == SQUASHFS_STUB
    assert entry[201:212] == struct.pack("<ii3s", 1, PRIMARY, b"02")


def test_unaligned_object_follows_its_predecessor(image: bytes) -> None:
    """Objects other than partitions are not aligned: the JSON begins right after the table."""
    entry = image[4096 : 4096 + 585]
    assert (number(entry, 17), number(entry, 25)) == (32176, 7)
    assert entry[73:94] == b"inspect-metadata.json"
    assert image[32176:32183] == b'{"a":1}'


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    """An image holds no time and no random number."""
    for name in ("a.sif", "b.sif"):
        write_sif(tmp_path / name, [partition(SQUASHFS_STUB)])
    assert (tmp_path / "a.sif").read_bytes() == (tmp_path / "b.sif").read_bytes()


def test_too_many_objects_are_refused(tmp_path: Path) -> None:
    """The table has 48 places."""
    with pytest.raises(ValueError, match="49"):
        write_sif(tmp_path / "x.sif", [SifObject(GENERIC_JSON, b"{}")] * 49)


def test_committed_image_holds_the_package_data() -> None:
    """The committed image is a SIF of at most 1 MB around the package data of bullseye-sci."""
    if shutil.which("unsquashfs") is None:
        pytest.skip("needs unsquashfs (Debian package squashfs-tools)")
    from testbed.filetrees import bullseye_sci
    from testbed.images import SMALL

    data = SMALL.read_bytes()
    assert len(data) <= 1_000_000
    offset = number(data, 4096 + 17)
    words = ["unsquashfs", "-offset", str(offset), "-cat", str(SMALL), "var/lib/dpkg/status"]
    done = subprocess.run(words, capture_output=True, check=True)
    assert done.stdout == bullseye_sci()["var/lib/dpkg/status"]
