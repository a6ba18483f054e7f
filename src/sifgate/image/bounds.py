# SPDX-License-Identifier: Apache-2.0
"""How much one image may cost; past any of these it is `unscannable: bounds`."""

from __future__ import annotations

import msgspec

MIB = 1 << 20
GIB = 1 << 30


class Bounds(msgspec.Struct, frozen=True):
    """Limits of one extraction; the defaults pass real images of 20 GB with a million entries."""

    entries: int = 2_000_000
    """Directory entries of the image's tree."""
    directory: int = 250_000
    """Entries of one directory."""
    depth: int = 200
    """Path components of an entry."""
    bytes_read: int = 64 * GIB
    """Bytes of the image that are read, compressed."""
    layer_size: int = 2 * GIB
    """Bytes of the slim layer."""
    member_size: int = 1 * GIB
    """Bytes of one member of the slim layer."""
    archive_size: int = 512 * MIB
    """Bytes that one jar may unfold to, nested archives included: Clair holds them in memory."""
    memory: int = 2 * GIB
    """Address space of the worker, in bytes."""
    cpu_seconds: int = 120
    """CPU time of the worker."""
    wall_seconds: float = 300.0
    """Wall-clock time from the start of the worker to its answer."""
