# SPDX-License-Identifier: Apache-2.0
"""Slim layers: small ones in PostgreSQL for good, larger ones in a directory until they are indexed (design §4)."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

import msgspec
import zstandard

from sifgate.errors import StoreError
from sifgate.model.image import CoverageFacts
from sifgate.store.database import Connection, Database

IN_DATABASE = 8 << 20
"""Bytes, after compression, up to which PostgreSQL keeps a layer."""
_LEVEL = 3
_PIECE = 1 << 20


class Layer(msgspec.Struct, frozen=True):
    """What is known of an uploaded layer; the bytes are fetched by `Layers.fetch`."""

    fingerprint: str
    slim_version: int
    digest: str
    size: int
    facts: CoverageFacts
    kept: bool = True
    """Whether the bytes are still there; if not, a node must upload them again."""
    indexed_under: str = ""
    """Clair's index state when it indexed this layer; empty: not yet."""


class Layers:
    """The layers of one site; `directory` is shared by all servers, or each keeps what it was given."""

    def __init__(self, database: Database, directory: Path, *, in_database: int = IN_DATABASE) -> None:
        self._database = database
        self._directory = directory
        self._limit = in_database

    def prepare(self) -> None:
        """Make the directory, and empty it of uploads that a killed server left half-written."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for rest in self._directory.glob(".part-*"):
            rest.unlink(missing_ok=True)

    def put(self, connection: Connection, layer: Layer, fd: int) -> None:
        """Store a layer whose bytes are behind `fd`, within the caller's transaction; raises StoreError."""
        body = self._compressed(fd, layer.size)
        if body is None:
            self._write(layer, fd)
        connection.execute(
            "INSERT INTO layers (fingerprint, slim_version, digest, size, facts, place, body)"
            " VALUES (%(fingerprint)s, %(slim)s, %(digest)s, %(size)s, %(facts)s, %(place)s, %(body)s)"
            " ON CONFLICT (fingerprint)"
            " DO UPDATE SET place = EXCLUDED.place, body = EXCLUDED.body, uploaded_at = now()",
            {
                "fingerprint": layer.fingerprint,
                "slim": layer.slim_version,
                "digest": layer.digest,
                "size": layer.size,
                "facts": msgspec.json.encode(layer.facts),
                "place": "directory" if body is None else "database",
                "body": body,
            },
        )

    def read(self, fingerprint: str) -> Layer | None:
        """Return what is known of a layer; None if it was never uploaded."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT slim_version, digest, size, facts, place, indexed_under FROM layers WHERE fingerprint = %s",
                (fingerprint,),
            ).fetchone()
        if row is None:
            return None
        facts = msgspec.json.decode(row[3], type=CoverageFacts)
        kept = row[4] == "database" or (row[4] == "directory" and self._path(fingerprint).exists())
        return Layer(
            fingerprint=fingerprint,
            slim_version=row[0],
            digest=row[1],
            size=row[2],
            facts=facts,
            kept=kept,
            indexed_under=row[5],
        )

    def fetch(self, layer: Layer) -> int | None:
        """Return a descriptor of the layer's bytes, at 0, that the caller closes; None if they were dropped."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT body FROM layers WHERE fingerprint = %s", (layer.fingerprint,)
            ).fetchone()
        if row is not None and row[0] is not None:
            with tempfile.TemporaryFile(dir=self._directory) as unpacked:
                zstandard.ZstdDecompressor().copy_stream(io.BytesIO(row[0]), unpacked)
                unpacked.seek(0)
                return os.dup(unpacked.fileno())
        try:
            return os.open(self._path(layer.fingerprint), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    def indexed(self, fingerprint: str, index_state: str) -> None:
        """Note that Clair has indexed a layer; the bytes of a large one are dropped, small ones stay."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE layers SET indexed_under = %s,"
                " place = CASE place WHEN 'directory' THEN 'dropped' ELSE place END WHERE fingerprint = %s",
                (index_state, fingerprint),
            )
        self._path(fingerprint).unlink(missing_ok=True)

    def _compressed(self, fd: int, size: int) -> bytes | None:
        """Return the layer compressed, or None as soon as that is too large for the database."""
        compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj(size=size)
        pieces, total, offset = [], 0, 0
        while piece := os.pread(fd, _PIECE, offset):
            offset += len(piece)
            pieces.append(compressor.compress(piece))
            total += len(pieces[-1])
            if total > self._limit:
                return None
        pieces.append(compressor.flush())
        whole = b"".join(pieces)
        return whole if len(whole) <= self._limit else None

    def _write(self, layer: Layer, fd: int) -> None:
        """Write the bytes under the fingerprint's name, whole or not at all."""
        part = self._directory / f".part-{layer.fingerprint}-{os.getpid()}-{fd}"
        try:
            own = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(own, "wb") as target, os.fdopen(os.dup(fd), "rb") as source:
                source.seek(0)
                shutil.copyfileobj(source, target, _PIECE)
                target.flush()
                os.fsync(target.fileno())
            part.replace(self._path(layer.fingerprint))
        except OSError as error:
            part.unlink(missing_ok=True)
            raise StoreError(f"the layer cannot be written to {self._directory}: {error.strerror}") from error

    def _path(self, fingerprint: str) -> Path:
        return self._directory / fingerprint
