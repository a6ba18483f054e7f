# SPDX-License-Identifier: Apache-2.0
"""Random damage: every image is either read or refused by its cause, never by an accident."""

from __future__ import annotations

import os
import struct
import tempfile
from io import BytesIO
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from testbed import sif as writer
from tests.unit.image.corpus import debian
from tests.unit.image.squashwriter import File, write
from tests.unit.image.test_gobinary import Counted

from sifgate.errors import Unscannable
from sifgate.image import tarball
from sifgate.image.archives import why_unsafe
from sifgate.image.bounds import MIB, Bounds
from sifgate.image.examine import examine
from sifgate.image.reader import Reader
from sifgate.image.worker import CAUSES

BOUNDS = Bounds(entries=10_000, bytes_read=256 * MIB, layer_size=64 * MIB, member_size=16 * MIB)
STATES = CAUSES | {"read"}
HONEST = write(debian({"opt/a.egg-info": File(b"Name: a\n"), "opt/tool": File(b"\x7fELF" + bytes(5000))}))


def examined(data: bytes) -> str:
    """Return "read", or the cause; anything else that is raised is an accident."""
    fd = os.memfd_create("image")
    try:
        os.write(fd, data)
        examine(fd, BOUNDS, BytesIO(), lambda _done, _expected: None)
    except Unscannable as error:
        return error.cause
    finally:
        os.close(fd)
    return "read"


def test_honest_image_is_read() -> None:
    """The image that the others are made of is a good one."""
    assert examined(HONEST) == "read"


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(HONEST) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_flipped_bytes_of_a_squashfs(flips: list[tuple[int, int]]) -> None:
    """Bytes changed anywhere in a squashfs."""
    data = bytearray(HONEST)
    for offset, value in flips:
        data[offset] = value
    assert examined(bytes(data)) in STATES


@settings(max_examples=200)
@given(st.integers(8, 95), st.integers(0, 2**64 - 1))
def test_damaged_superblock(offset: int, value: int) -> None:
    """Any eight bytes of the superblock set to anything."""
    data = HONEST[:offset] + struct.pack("<Q", value)[: 96 - offset] + HONEST[min(96, offset + 8) :]
    assert examined(data) in STATES


@settings(max_examples=100)
@given(st.integers(0, len(HONEST)))
def test_truncated_squashfs(size: int) -> None:
    """Cut at any place."""
    assert examined(HONEST[:size]) in STATES


def _honest_sif() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "image.sif"
        writer.write_sif(path, [writer.partition(HONEST)])
        return path.read_bytes()


SIF = _honest_sif()


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_sif_header(data: st.DataObject) -> None:
    """Bytes changed in the header and the first descriptors of a SIF."""
    image = bytearray(SIF)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(
            st.sampled_from([0, 32, 64, 88, 96, 4096, 4096 + 17, 4096 + 25, 4096 + 201, 4096 + 585])
        )
        value = data.draw(st.binary(min_size=1, max_size=8))
        image[start : start + len(value)] = value
    assert examined(bytes(image)) in STATES


@settings(max_examples=200)
@given(st.binary(max_size=2000))
def test_layer_reader_takes_anything(data: bytes) -> None:
    """Bytes that are no layer are refused, not believed."""
    fd = os.memfd_create("layer")
    try:
        os.write(fd, data)
        list(tarball.members(Reader(fd, 0, len(data), 1 << 30), 1000))
    except Unscannable:
        pass
    finally:
        os.close(fd)


@settings(max_examples=200)
@given(st.binary(max_size=500), st.binary(max_size=60))
def test_archive_vetting_takes_anything(head: bytes, tail: bytes) -> None:
    """Whatever calls itself a jar gets an answer."""
    why_unsafe(Counted(head + b"PK\x01\x02" + tail + b"x.jar" + head + b"PK\x05\x06" + tail), 1 << 20)
