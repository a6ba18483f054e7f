# SPDX-License-Identifier: Apache-2.0
"""Bad images by the file: empty, cut, of another kind, SIF that lies, and files that are two things at once."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from testbed import sif
from tests.unit.image.corpus import (
    as_file,
    case,
    debian,
    in_sif,
    patched,
)
from tests.unit.image.squashwriter import File, write

# --- the file as a whole


@case("format")
def empty_file(directory: Path) -> Path:
    """Nothing at all."""
    return as_file(directory, b"")


@case("format")
def short_file(directory: Path) -> Path:
    """Fewer bytes than the runtime sniffs."""
    return as_file(directory, b"hsqs" + bytes(1000))


@case("format")
def text_file(directory: Path) -> Path:
    """A script with the right name."""
    return as_file(directory, b"#!/bin/sh\n" * 1000)


@case("format")
def fifo(directory: Path) -> Path:
    """A pipe: opening must not wait, reading must not happen."""
    os.mkfifo(directory / "image.sif")
    return directory / "image.sif"


@case("format")
def device(directory: Path) -> Path:
    """A character device that never ends."""
    return Path("/dev/zero")


@case("filesystem")
def bare_ext3(directory: Path) -> Path:
    """A file with the magic of ext2, 3 and 4."""
    return patched(as_file(directory, bytes(8192)), 1080, b"\x53\xef")


@case("encrypted")
def bare_luks(directory: Path) -> Path:
    """A LUKS container."""
    return as_file(directory, b"LUKS\xba\xbe\0\2" + bytes(8192))


# --- SIF


@case("malformed")
def sif_truncated_header(directory: Path) -> Path:
    """Cut inside the descriptors."""
    return as_file(directory, in_sif(directory, debian()).read_bytes()[:5000])


@case("malformed")
def sif_truncated_partition(directory: Path) -> Path:
    """Cut inside the partition."""
    return as_file(directory, in_sif(directory, debian()).read_bytes()[:-4096])


@case("malformed")
def sif_descriptor_past_end(directory: Path) -> Path:
    """The primary partition begins behind the file."""
    return patched(in_sif(directory, debian()), sif.TABLE_OFFSET + 17, struct.pack("<q", 1 << 60))


@case("malformed")
def sif_negative_size(directory: Path) -> Path:
    """The primary partition has a negative size."""
    return patched(in_sif(directory, debian()), sif.TABLE_OFFSET + 25, struct.pack("<q", -1))


@case("malformed")
def sif_overlapping(directory: Path) -> Path:
    """Two objects share bytes."""
    other = sif.SifObject(sif.LABELS, bytes(8192))
    path = in_sif(directory, debian(), other)
    place = path.read_bytes()[sif.TABLE_OFFSET + 17 : sif.TABLE_OFFSET + 25]
    return patched(path, sif.TABLE_OFFSET + sif.DESCRIPTOR.size + 17, place)


@case("malformed")
def sif_partition_over_table(directory: Path) -> Path:
    """The primary partition overlaps the descriptors."""
    return patched(in_sif(directory, debian()), sif.TABLE_OFFSET + 17, struct.pack("<q", 4096))


@case("malformed")
def sif_no_primary(directory: Path) -> Path:
    """Only a data partition."""
    path = directory / "image.sif"
    sif.write_sif(path, [sif.partition(write(debian()), kind=sif.DATA)])
    return path


@case("malformed")
def sif_two_primaries(directory: Path) -> Path:
    """One to be judged, one to be run."""
    return in_sif(directory, debian(), sif.partition(write(debian())))


@case("malformed")
def sif_no_descriptors(directory: Path) -> Path:
    """A header alone."""
    path = directory / "image.sif"
    sif.write_sif(path, [])
    return path


@case("malformed")
def sif_many_descriptors(directory: Path) -> Path:
    """More descriptors than memory."""
    return patched(in_sif(directory, debian()), 88, struct.pack("<q", 1 << 40))


@case("malformed")
def sif_magic_elsewhere(directory: Path) -> Path:
    """The magic is there, but not where the loader insists on it."""
    return as_file(directory, bytes(100) + b"SIF_MAGIC\x00" + bytes(8192))


@case("malformed")
def sif_unknown_version(directory: Path) -> Path:
    """A version that nobody knows."""
    return patched(in_sif(directory, debian()), 42, b"99\0")


@case("encrypted")
def sif_luks(directory: Path) -> Path:
    """An encrypted partition, said so."""
    return in_sif(directory, b"LUKS\xba\xbe".ljust(4096, b"\0"), kind=sif.ENCRYPTED)


@case("encrypted")
def sif_luks_denied(directory: Path) -> Path:
    """An encrypted partition that calls itself squashfs."""
    return in_sif(directory, b"LUKS\xba\xbe".ljust(4096, b"\0"))


@case("encrypted")
def sif_gocryptfs(directory: Path) -> Path:
    """A squashfs full of ciphertext: unsquashing it would find nothing, and look clean."""
    return in_sif(directory, write(debian()), kind=sif.GOCRYPTFS)


@case("filesystem")
def sif_ext3(directory: Path) -> Path:
    """An ext3 partition."""
    return in_sif(directory, bytes(8192), kind=sif.EXT3)


@case("format")
def oci_sif(directory: Path) -> Path:
    """Layers in place of a partition."""
    path = directory / "image.sif"
    sif.write_sif(path, [sif.SifObject(0x400A, b"{}" * 100), sif.SifObject(0x400B, bytes(4096))])
    return path


# --- polyglots


@case("malformed")
def squashfs_with_sif_magic(directory: Path) -> Path:
    """A squashfs that is also found to be a SIF."""
    root = debian({"opt/a": File(b"SIF_MAGIC\0" * 50)})
    return patched(as_file(directory, write(root)), 1024, b"SIF_MAGIC\0")


@case("malformed")
def squashfs_with_ext3_magic(directory: Path) -> Path:
    """A squashfs that is also an ext3."""
    root = debian({"opt/a": File(bytes(4096))})
    return patched(as_file(directory, write(root)), 1080, b"\x53\xef")


@case("malformed")
def two_squashfs(directory: Path) -> Path:
    """One squashfs at 0 and another one after a shebang."""
    image = bytearray(write(debian({"opt/a": File(bytes(4096))})))
    image[100:117] = b" run-singularity\n"
    image[117:121] = b"hsqs"
    return as_file(directory, bytes(image))
