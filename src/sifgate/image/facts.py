# SPDX-License-Identifier: Apache-2.0
"""Facts of an image file that are no part of its package set: when it says it was built, its digest, who signed it.

Runs in the sandboxed worker. What cannot be read is left empty, or None for the signers; nothing is guessed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time

import msgspec

from sifgate.errors import Unscannable
from sifgate.image import signature
from sifgate.image.bounds import Bounds
from sifgate.image.reader import Reader
from sifgate.image.sif import MAGIC, MAGIC_OFFSET, created_at, read_header
from sifgate.image.signature import Ring, Signer

_PIECE = 1 << 20


class FileFacts(msgspec.Struct, frozen=True):
    """What one reading found; a fact that was not wanted stays empty."""

    created: str = ""
    """ISO time in UTC, of the SIF header."""
    digest: str = ""
    """`sha256:` and 64 hex digits over the whole file."""
    signers: tuple[Signer, ...] | None = None
    """None: not looked at, or the key ring cannot be used."""


def read_facts(fd: int, ring: int, wanted: tuple[str, ...], bounds: Bounds) -> FileFacts:
    """Return the wanted facts of a file; of a directory only that nobody has signed it. Raises `Unscannable`."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return FileFacts(signers=() if "signers" in wanted else None)
    return FileFacts(
        created=_created(fd, status.st_size, bounds) if "created" in wanted else "",
        digest=_digest(Reader(fd, 0, status.st_size, bounds.bytes_read)) if "digest" in wanted else "",
        signers=_signers(fd, status.st_size, ring, bounds) if "signers" in wanted else None,
    )


def _created(fd: int, size: int, bounds: Bounds) -> str:
    try:
        return created_at(read_header(Reader(fd, 0, size, bounds.bytes_read)))
    except Unscannable:
        return ""


def _digest(reader: Reader) -> str:
    whole = hashlib.sha256()
    for offset in range(0, reader.size, _PIECE):
        whole.update(reader.read(offset, min(_PIECE, reader.size - offset)))
    return f"sha256:{whole.hexdigest()}"


def _signers(fd: int, size: int, ring: int, bounds: Bounds) -> tuple[Signer, ...] | None:
    """Return who signed the file; nobody where it is no SIF, or a malformed one."""
    reader = Reader(fd, 0, size, bounds.bytes_read)
    if size < MAGIC_OFFSET + len(MAGIC) or reader.read(MAGIC_OFFSET, len(MAGIC)) != MAGIC:
        return ()
    try:
        keys = Ring(os.pread(ring, signature.RING_LIMIT + 1, 0), time.time())
    except ValueError:
        return None
    try:
        return signature.verify(reader, keys)
    except Unscannable as error:
        return () if error.cause == "malformed" else None
