# SPDX-License-Identifier: Apache-2.0
"""Trees for tests that need no worker: a squashfs in memory, its slim layer, the facts."""

from __future__ import annotations

import os
from io import BytesIO

from tests.unit.image.squashwriter import Directory, write

from sifgate.image.bounds import Bounds
from sifgate.image.examine import slim_layer
from sifgate.image.reader import Reader
from sifgate.image.squashfs import SquashfsTree
from sifgate.model.image import CoverageFacts


def squashfs_of(data: bytes) -> SquashfsTree:
    """Return the tree of an image held in memory; its descriptor lives as long as the process needs it."""
    fd = os.memfd_create("image")
    os.write(fd, data)
    return SquashfsTree(Reader(fd, 0, len(data), 1 << 40))


def layer_of(root: Directory) -> tuple[CoverageFacts, bytes]:
    """Return facts and slim layer of a tree."""
    sink = BytesIO()
    facts, size = slim_layer(squashfs_of(write(root)), Bounds(), sink)
    assert size == len(sink.getvalue())
    return facts, sink.getvalue()
