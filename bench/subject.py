# SPDX-License-Identifier: Apache-2.0
"""The image that is measured: bullseye-sci, 333 packages, about 525 MB as SIF."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from testbed.images import obtain_image

from sifgate.image.reader import Reader
from sifgate.image.sif import primary_partition

IMAGE = "bullseye-sci.sif"


class Subject(msgspec.Struct, frozen=True):
    """One SIF and where its file system begins."""

    path: Path
    size: int
    offset: int


def subject() -> Subject:
    """Return the image, built on first use, and read once so that no way pays for the disk."""
    path = obtain_image(IMAGE)
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        offset = primary_partition(Reader(stream.fileno(), 0, size, size)).offset
        while stream.read(1 << 22):
            pass
    return Subject(path, size, offset)
