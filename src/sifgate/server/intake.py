# SPDX-License-Identifier: Apache-2.0
"""Uploaded layers: unpacked within bounds, checked against their own words, parsed anew in the sandbox, then stored.

::

    envelope = length (8 bytes, big-endian) JSON (length bytes) tar
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from sifgate.errors import SifgateError, Unscannable
from sifgate.image.fingerprint import fingerprint as fingerprint_of
from sifgate.image.worker import recheck
from sifgate.model.image import CoverageFacts, Extraction
from sifgate.server.refusal import Refused
from sifgate.store import scans
from sifgate.store.database import Database
from sifgate.store.layers import Layer, Layers

LARGEST_HEAD = 4 << 20
_LENGTH = 8
_PIECE = 1 << 20
_WINDOW = 64 << 20
"""Memory that unpacking may take."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Head(msgspec.Struct, frozen=True):
    """What the node says of the layer that follows."""

    slim_version: int
    layer_digest: str
    layer_size: int
    facts: CoverageFacts


class Intake:
    """Takes layers in; usable from several threads."""

    def __init__(
        self,
        database: Database,
        layers: Layers,
        *,
        largest: int,
        checks_at_once: int,
        check_uid: int | None,
        spool: Path,
    ) -> None:
        self._database = database
        self._layers = layers
        self.largest = largest
        """Bytes of a layer, unpacked."""
        self._checks = threading.Semaphore(checks_at_once)
        self._check_uid = check_uid
        self._spool = spool

    def spool(self) -> BinaryIO:
        """Return an unnamed file for an upload."""
        return tempfile.TemporaryFile(dir=self._spool)

    def accept(self, fingerprint: str, upload: BinaryIO, *, packed: bool) -> None:
        """Store the layer in `upload` and queue its scan; raises Refused (400, 413, 503) or StoreError."""
        upload.seek(0)
        if packed:
            with self.spool() as unpacked:
                self._unpack(upload, unpacked)
                self._accept(fingerprint, unpacked)
        else:
            self._accept(fingerprint, upload)

    def _accept(self, fingerprint: str, envelope: BinaryIO) -> None:
        head = _head(envelope)
        if fingerprint_of(head.slim_version, head.layer_digest, head.facts) != fingerprint:
            raise _rejected("the fingerprint does not belong to this layer and these facts")
        with self.spool() as tar:
            self._copy(envelope, tar, head)
            self._check(tar.fileno(), fingerprint, head)
            layer = Layer(
                fingerprint=fingerprint,
                slim_version=head.slim_version,
                digest=head.layer_digest,
                size=head.layer_size,
                facts=head.facts,
            )
            with self._database.transaction() as connection:
                self._layers.put(connection, layer, tar.fileno())
                scans.enqueue(connection, fingerprint, rematch=False)

    def _unpack(self, packed: BinaryIO, unpacked: BinaryIO) -> None:
        """Undo zstd; stops past the bound, whatever the sender says of sizes."""
        most = self.largest + LARGEST_HEAD + _LENGTH
        total = 0
        try:
            with zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(
                packed, closefd=False
            ) as reader:
                while piece := reader.read(_PIECE):
                    total += len(piece)
                    if total > most:
                        raise Refused(413, "too_large", f"a layer may have {self.largest} bytes")
                    unpacked.write(piece)
        except zstandard.ZstdError as error:
            raise _rejected(f"the body is not zstd: {error}") from error
        unpacked.seek(0)

    def _copy(self, envelope: BinaryIO, tar: BinaryIO, head: Head) -> None:
        """Copy the tar to a file of its own and check its size and digest."""
        if head.layer_size > self.largest:
            raise Refused(413, "too_large", f"a layer may have {self.largest} bytes")
        whole, total = hashlib.sha256(), 0
        while piece := envelope.read(_PIECE):
            whole.update(piece)
            total += len(piece)
            tar.write(piece)
        tar.flush()
        if total != head.layer_size:
            raise _rejected(f"the layer has {total} bytes, {head.layer_size} were announced")
        if f"sha256:{whole.hexdigest()}" != head.layer_digest:
            raise _rejected("the layer has another digest than announced")

    def _check(self, fd: int, fingerprint: str, head: Head) -> None:
        """Parse the layer anew in the sandbox: what comes from a node is not believed (design §5)."""
        extraction = Extraction(
            fingerprint=fingerprint,
            slim_version=head.slim_version,
            layer_digest=head.layer_digest,
            layer_size=head.layer_size,
            facts=head.facts,
        )
        with self._checks:
            os.lseek(fd, 0, os.SEEK_SET)
            try:
                recheck(fd, extraction, uid=self._check_uid)
            except Unscannable as error:
                if error.cause == "sandbox":
                    raise Refused(503, "sandbox", f"the layer cannot be checked here: {error}") from error
                raise _rejected(f"{error.cause}: {error}") from error


def _head(envelope: BinaryIO) -> Head:
    """Return the envelope's head, the stream left at the tar."""
    length = int.from_bytes(envelope.read(_LENGTH), "big")
    if not 0 < length <= LARGEST_HEAD:
        raise _rejected(f"the head has {length} bytes, at most {LARGEST_HEAD} are allowed")
    body = envelope.read(length)
    try:
        head = msgspec.json.decode(body, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _rejected(f"the head cannot be read: {error}") from error
    if not _DIGEST.fullmatch(head.layer_digest) or head.layer_size < 0 or not 0 < head.slim_version < 1 << 31:
        raise _rejected("the head names no valid digest, size or version")
    return head


def _rejected(message: str) -> SifgateError:
    return Refused(400, "layer_rejected", message)
