# SPDX-License-Identifier: Apache-2.0
"""What records name is kept on the node: verdicts and policies by digest, as long as a log file names them.

Files are written whole or not at all, packed, and believed by whoever reads them only if their digest is right. A
policy is stored when it is loaded, a verdict when it arrives, before anything is judged by it.
Deleting waits for a complete look at all log files, packed ones included: where one cannot be read, nothing goes.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import zstandard

from sifgate.audit.files import compressed, history, lines
from sifgate.errors import AuditError

VERDICTS = "verdicts"
POLICIES = "policies"
SUFFIX = ".json.zst"
GRACE = 86_400.0
"""Seconds that anything is kept after it came, named or not."""
SETTLED = 60.0
"""Seconds after which the record that named a digest is surely in the file."""
_NAMED = re.compile(rb'"(?:verdict|policy)":"(sha256:[0-9a-f]{64})"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Fetch = Callable[[str], bytes | None]
"""Returns the packed bytes of a verdict that the node's cache still has."""


class Evidence:
    """The store; `named` is for the loop, all else for threads."""

    def __init__(self, directory: Path, log: Path, fetch: Fetch) -> None:
        self.problem = ""
        """Why something could not be kept; empty: all was."""
        self.pruned = 0
        """Files deleted since start."""
        self._directory = directory
        self._log = log
        self._fetch = fetch
        self._lock = threading.Lock()
        self._named: dict[str, float] = {}
        self._held: set[str] = set()
        self._policy = ""
        for kind in (VERDICTS, POLICIES, "names"):
            (directory / kind).mkdir(mode=0o700, parents=True, exist_ok=True)
        for kind in (VERDICTS, POLICIES):
            self._held.update(digest for digest, _ in self._files(kind))

    def named(self, digest: str) -> bool:
        """Take note that a record names this digest; return whether it is kept."""
        self._named[digest] = time.monotonic()
        return digest in self._held

    def mend(self, digest: str) -> None:
        """Keep a verdict that is not kept, from the node's cache, if that still has it."""
        packed = self._fetch(digest)
        if packed is not None:
            self.keep_verdict(digest, packed)

    def keep_verdict(self, digest: str, packed: bytes) -> None:
        """Keep the packed canonical bytes of a verdict."""
        self._keep(VERDICTS, digest, packed)

    def keep_policy(self, digest: str, sources: bytes) -> None:
        """Keep the sources of the policy in force (JSON of `PolicySources`)."""
        self._policy = digest
        self._keep(POLICIES, digest, zstandard.ZstdCompressor(level=9).compress(sources))

    def policies(self) -> list[str]:
        """Return the digests of the policies that are kept."""
        return [digest for digest, _ in self._files(POLICIES)]

    def policy(self, digest: str) -> bytes | None:
        """Return the sources of a policy as they were stored; None where they cannot be read."""
        try:
            packed = self._path(POLICIES, digest).read_bytes()
            return zstandard.ZstdDecompressor().decompress(packed, max_output_size=256 << 20)
        except (OSError, zstandard.ZstdError):
            return None

    def prune(self) -> int:
        """Delete what no log file names any more; return how many files. Raises AuditError where one is unreadable."""
        begun = time.monotonic()
        wanted = self._all_named()
        old = time.time() - GRACE
        count = 0
        for kind in (VERDICTS, POLICIES):
            for digest, file in self._files(kind):
                if digest not in wanted and digest != self._policy and _changed(file) < old:
                    count += self._forget(digest, file, begun - SETTLED)
        for digest in wanted - self._held:
            self.mend(digest)
        self.pruned += count
        return count

    def _keep(self, kind: str, digest: str, packed: bytes) -> None:
        """Write a file whole or not at all; a disk that refuses is a problem to be shown, and no more."""
        if digest in self._held or not _DIGEST.fullmatch(digest):
            return
        path = self._path(kind, digest)
        temporary = path.with_name(f".{path.name}.{threading.get_ident()}")
        try:
            with temporary.open("wb") as file:
                file.write(packed)
                file.flush()
                os.fsync(file.fileno())
            with self._lock:
                temporary.replace(path)
                self._held.add(digest)
            self.problem = ""
        except OSError as error:
            self.problem = f"{path}: cannot be kept: {error.strerror or error}"
            temporary.unlink(missing_ok=True)

    def _forget(self, digest: str, file: Path, settled: float) -> int:
        with self._lock:
            if self._named.get(digest, 0.0) >= settled:
                return 0
            self._named.pop(digest, None)
            self._held.discard(digest)
            file.unlink(missing_ok=True)
        return 1

    def _path(self, kind: str, digest: str) -> Path:
        return self._directory / kind / (digest.removeprefix("sha256:") + SUFFIX)

    def _files(self, kind: str) -> Iterator[tuple[str, Path]]:
        for file in (self._directory / kind).iterdir():
            digest = "sha256:" + file.name.removesuffix(SUFFIX)
            if _DIGEST.fullmatch(digest):
                yield digest, file
            elif file.name.startswith(".") and _changed(file) < time.time() - GRACE:
                file.unlink(missing_ok=True)  # left by a crash

    def _all_named(self) -> set[str]:
        """Return every digest that a log file names; rotated files are read once and then remembered."""
        found: set[str] = set()
        remembered = set()
        for file in history(self._log):
            if file == self._log:
                found |= _names_in(file)
                continue
            note = self._directory / "names" / _identity(file)
            remembered.add(note.name)
            found |= _noted(note, file)
        for note in (self._directory / "names").iterdir():
            if note.name not in remembered:
                note.unlink(missing_ok=True)
        return found


class _Note(msgspec.Struct, frozen=True):
    """What a rotated file names."""

    size: int
    """Bytes of the file when it was read; 0: it was packed. One that has grown since is read again (copytruncate)."""
    names: list[str]


def _names_in(file: Path) -> set[str]:
    return {name.decode() for _, line in lines(file) for name in _NAMED.findall(line)}


def _noted(note: Path, file: Path) -> set[str]:
    """Return what a rotated file names, from the note about it if there is one."""
    size = 0 if compressed(file) else file.stat().st_size
    try:
        noted = msgspec.json.decode(note.read_bytes(), type=_Note)
        if size in (0, noted.size):
            return set(noted.names)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        pass
    names = _names_in(file)
    temporary = note.with_name(note.name + ".new")
    try:
        temporary.write_bytes(msgspec.json.encode(_Note(size, sorted(names))))
        temporary.replace(note)
    except OSError as error:
        raise AuditError(f"{note}: cannot be written: {error.strerror or error}") from error
    return names


def _identity(file: Path) -> str:
    """Return what tells a rotated file from others, packed or not: the hash of its first line."""
    _, first = next(lines(file), (0, b""))
    return hashlib.sha256(first).hexdigest()


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return time.time()
