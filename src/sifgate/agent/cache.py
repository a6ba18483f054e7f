# SPDX-License-Identifier: Apache-2.0
"""Fingerprint → verdict on the node's disk: SQLite in a directory that only the agent can enter.

Facts only, so losing it costs time and nothing else: it is checked at start and thrown away when bad, and a verdict's
bytes are believed only if their digest is right. Survives restart and power loss (WAL). An index of what is there
stays in memory, so that a warm launch asks no disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from sifgate import fsguard
from sifgate.admission.ports import Footing
from sifgate.agent.memo import Key
from sifgate.errors import UnsafeFile
from sifgate.model.verdict import Verdict

FORMAT = 1
"""`user_version` of the file; another one means: throw away."""
INDEX_LIMIT = 20_000
"""Verdicts whose existence is remembered."""
VERDICT_LIMIT = 256 << 20
"""Bytes of the largest verdict that is believed."""

_SCHEMA = """
CREATE TABLE verdicts (
    fingerprint TEXT PRIMARY KEY, digest TEXT NOT NULL, footing BLOB NOT NULL,
    body BLOB NOT NULL, checked REAL NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX verdicts_used ON verdicts (used);
CREATE TABLE files (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, believed_until REAL) WITHOUT ROWID;
"""


class Known(msgspec.Struct, frozen=True):
    """One verdict of the index."""

    footing: Footing
    checked: float
    """Seconds since 1970 at which the server last said that this is its verdict."""


def digest_of(body: bytes) -> str:
    """Return the digest that names a verdict's canonical bytes."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def decode_verdict(body: bytes) -> Verdict:
    """Return the verdict that canonical bytes hold; raises msgspec.DecodeError or ValidationError."""
    return msgspec.json.decode(body, type=Verdict)


class Cache:
    """The cache; `recall` may be called from the loop, the rest from workers."""

    def __init__(self, path: Path, *, boot: str, limit_bytes: int) -> None:
        self.path = path
        self.thrown_away = ""
        """Why the file found at start was thrown away; empty: it was not."""
        self.keep: Callable[[str, bytes], None] = _nowhere
        """Takes digest and packed bytes of each verdict that comes from the server, before anything is judged by it."""
        self._boot = boot
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._index: OrderedDict[str, Known] = OrderedDict()
        self._prepare_directory()
        self._database = self._open()
        self._read_index()

    def __len__(self) -> int:
        return len(self._index)

    def recall(self, fingerprint: str) -> Known | None:
        """Return what is known of a fingerprint, from memory."""
        return self._index.get(fingerprint)

    def store(self, body: bytes, verdict: Verdict, digest: str) -> Known:
        """Keep a verdict that the server has just sent; a disk that refuses costs only the next start its memory."""
        now = time.time()
        footing = Footing(
            state=verdict.state,
            detail=verdict.detail,
            fingerprint=verdict.fingerprint,
            digest=digest,
            generation=verdict.generation.id,
        )
        known = Known(footing, now)
        packed = zstandard.ZstdCompressor(level=3).compress(body)
        self.keep(digest, packed)
        with self._lock, contextlib.suppress(sqlite3.Error), self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)",
                (verdict.fingerprint, digest, msgspec.json.encode(footing), packed, now, now),
            )
            self._evict()
        self._remember(known)
        return known

    def load(self, fingerprint: str) -> Verdict | None:
        """Return the verdict itself; None, and forgotten, where the disk has lost or changed it."""
        with self._lock:
            try:
                row = self._database.execute(
                    "SELECT digest, body FROM verdicts WHERE fingerprint = ?", (fingerprint,)
                ).fetchone()
            except sqlite3.Error:
                row = None
        verdict = _believe(*row) if row else None
        if verdict is None or verdict.fingerprint != fingerprint:
            self.forget(fingerprint)
            return None
        return verdict

    def packed(self, digest: str) -> bytes | None:
        """Return the packed bytes of a verdict by its digest; None where it is not here or not what its digest says."""
        with self._lock:
            try:
                row = self._database.execute(
                    "SELECT digest, body FROM verdicts WHERE digest = ?", (digest,)
                ).fetchone()
            except sqlite3.Error:
                return None
        return row[1] if row and _believe(*row) is not None else None

    def confirm(self, fingerprint: str) -> None:
        """Note that the server has just said that this verdict is still its newest."""
        known = self._index.get(fingerprint)
        if known is None:
            return
        now = time.time()
        self._remember(msgspec.structs.replace(known, checked=now))
        with self._lock, contextlib.suppress(sqlite3.Error), self._database:
            self._database.execute(
                "UPDATE verdicts SET checked = ?, used = ? WHERE fingerprint = ?", (now, now, fingerprint)
            )

    def forget(self, fingerprint: str) -> None:
        """Drop a verdict."""
        self._index.pop(fingerprint, None)
        with self._lock, contextlib.suppress(sqlite3.Error), self._database:
            self._database.execute("DELETE FROM verdicts WHERE fingerprint = ?", (fingerprint,))

    def keep_file(self, key: Key, fingerprint: str, believed_until: float) -> None:
        """Keep one entry of the memo for the agent's next start within this boot."""
        text = msgspec.json.encode([self._boot, *key]).decode()
        with self._lock, contextlib.suppress(sqlite3.Error), self._database:
            end = None if believed_until == float("inf") else believed_until
            self._database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (text, fingerprint, end))

    def files(self) -> list[tuple[Key, str, float]]:
        """Return the memo's entries of this boot, and drop those of others."""
        found: list[tuple[Key, str, float]] = []
        with self._lock, contextlib.suppress(sqlite3.Error, msgspec.DecodeError), self._database:
            prefix = msgspec.json.encode([self._boot]).decode()[:-1] + ",%"
            self._database.execute("DELETE FROM files WHERE key NOT LIKE ?", (prefix,))
            for text, fingerprint, end in self._database.execute("SELECT * FROM files LIMIT 20000"):
                _, *key = msgspec.json.decode(text)
                found.append((tuple(key), fingerprint, float("inf") if end is None else end))
        return found

    def close(self) -> None:
        """Write everything into the file and close it."""
        with self._lock:
            self._database.close()

    def _remember(self, known: Known) -> None:
        self._index[known.footing.fingerprint] = known
        self._index.move_to_end(known.footing.fingerprint)
        while len(self._index) > INDEX_LIMIT:
            self._index.popitem(last=False)

    def _prepare_directory(self) -> None:
        directory = self.path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fsguard.check(directory, owner_uid=os.geteuid())
        if directory.stat().st_mode & 0o077:
            raise UnsafeFile(f"{directory}: others can enter it", hint=f"chmod 0700 {directory}")

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened()
        except sqlite3.Error as error:
            self.thrown_away = str(error)
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        return self._opened()

    def _opened(self) -> sqlite3.Connection:
        new = not self.path.exists()
        database = sqlite3.connect(self.path, timeout=5, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("PRAGMA cache_size = -2000")
            if new:
                database.executescript(_SCHEMA)
                database.execute(f"PRAGMA user_version = {FORMAT}")
            _check(database)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _read_index(self) -> None:
        rows: list[Any] = self._database.execute(
            "SELECT footing, checked FROM (SELECT footing, checked, used FROM verdicts ORDER BY used DESC LIMIT ?) "
            "ORDER BY used",
            (INDEX_LIMIT,),
        ).fetchall()
        for footing, checked in rows:
            with contextlib.suppress(msgspec.DecodeError):
                self._remember(Known(msgspec.json.decode(footing, type=Footing), checked))

    def _evict(self) -> None:
        (used,) = self._database.execute("SELECT coalesce(sum(length(body)), 0) FROM verdicts").fetchone()
        while used > self._limit:
            row = self._database.execute(
                "SELECT fingerprint, length(body) FROM verdicts ORDER BY used LIMIT 1"
            ).fetchone()
            self._database.execute("DELETE FROM verdicts WHERE fingerprint = ?", (row[0],))
            self._index.pop(row[0], None)
            used -= row[1]


def _nowhere(digest: str, packed: bytes) -> None:
    """Keep nothing: nobody has asked for it."""
    del digest, packed


def _check(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version != FORMAT:
        raise sqlite3.DatabaseError(f"format {version} (expected {FORMAT})")
    (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise sqlite3.DatabaseError(f"damaged: {answer}")


def _believe(digest: str, packed: bytes) -> Verdict | None:
    try:
        body = zstandard.ZstdDecompressor().decompress(packed, max_output_size=VERDICT_LIMIT)
        return decode_verdict(body) if digest_of(body) == digest else None
    except (zstandard.ZstdError, msgspec.DecodeError):
        return None
