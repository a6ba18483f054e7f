# SPDX-License-Identifier: Apache-2.0
"""Sends audit records to the server, at least once: the log itself is the spool, a cursor says what has been sent.

The cursor (inode and offset) survives restarts; a log that was rotated meanwhile is found by its inode and finished
first. Where more waits than the settings allow, the oldest records stay on the node only, and are counted.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from sifgate.agent.evidence import Evidence
from sifgate.agent.heads import Heads
from sifgate.agent.remote import Remote
from sifgate.audit.chain import place_of
from sifgate.audit.query import rotated
from sifgate.audit.record import CHAIN
from sifgate.errors import ClairUnavailable, ConfigError, ServerUnreachable

PAUSE = 1.0
"""Seconds between two looks at the log."""
PAUSE_LIMIT = 30.0
POLICIES_EVERY = 30.0
"""Seconds between two looks for policies that the server does not have."""
CHUNK = 1 << 20


class Cursor(msgspec.Struct):
    """How far the server has it."""

    inode: int = 0
    offset: int = 0
    shipped: int = 0
    """Records sent in all."""
    skipped: int = 0
    """Records that were not sent, because too many waited."""
    policies: list[str] = []
    """Digests of the policies that the server has, of those that are kept here."""


class Shipper:
    """A thread of its own, so that a slow server holds up nothing."""

    def __init__(
        self,
        log: Path,
        cursor: Path,
        remote: Remote,
        *,
        batch: int,
        spool_bytes: int,
        heads: Heads | None = None,
        evidence: Evidence | None = None,
        disguise: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """`disguise` returns a record's line as the server may see it; ConfigError holds everything back."""
        self._log = log
        self._cursor_path = cursor
        self._remote = remote
        self._batch = batch
        self._spool_bytes = spool_bytes
        self._heads = heads
        self._evidence = evidence
        self._disguise = disguise
        self.cursor = self._read_cursor()
        self.problem = ""
        """Why the last batch did not get there; empty: it did."""
        self.problem_beside = ""
        """Why heads or policies did not get there."""
        self.refused: dict[str, str] = {}
        """Policies that the server will not have, and why: asked again at the next start only."""
        self._next_policies = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sifgate-shipper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    @property
    def lag(self) -> int:
        """Bytes of the log that the server does not have yet, rotated files left out."""
        with contextlib.suppress(OSError):
            found = self._log.stat()
            return found.st_size - (self.cursor.offset if found.st_ino == self.cursor.inode else 0)
        return 0

    def _run(self) -> None:
        pause = PAUSE
        while not self._stop.wait(pause):
            try:
                self._beside()
                while self.ship_once() and not self._stop.is_set():
                    self._beside()
                self.problem, pause = "", PAUSE
            except (ServerUnreachable, ClairUnavailable, ConfigError, OSError) as error:
                self.problem = str(error)
                pause = min(pause * 2, PAUSE_LIMIT)

    def _beside(self) -> None:
        """Send what goes beside the records; a server that will not have it holds up no record."""
        try:
            if self._heads is not None:
                self._heads.send_if_due()
            if time.monotonic() >= self._next_policies:
                self._next_policies = time.monotonic() + POLICIES_EVERY
                self.ship_policies()
            self.problem_beside = "; ".join(f"policy {digest}: {why}" for digest, why in self.refused.items())
        except (ServerUnreachable, ClairUnavailable, OSError) as error:
            self.problem_beside = str(error)

    def ship_policies(self) -> None:
        """Send the policies that the server does not have yet; raises ServerUnreachable."""
        if self._evidence is None:
            return
        kept = self._evidence.policies()
        if set(kept) == set(self.cursor.policies):
            return
        for digest in kept:
            sources = None if digest in self.cursor.policies else self._evidence.policy(digest)
            if sources is not None and digest not in self.refused:
                problem = self._remote.put_policy(digest, sources)
                if problem:
                    self.refused[digest] = problem
                else:
                    self.cursor.policies.append(digest)
        self.cursor.policies = [digest for digest in self.cursor.policies if digest in kept]
        self._write_cursor()

    def ship_once(self) -> bool:
        """Send one batch; return whether there may be more. Raises ServerUnreachable, with the cursor where it was."""
        opened = self._open()
        if opened is None:
            return False
        descriptor, is_newest = opened
        try:
            self._skip_if_too_much(descriptor)
            lines, used = self._next_lines(descriptor)
            if not used:
                return self._next_file(descriptor, is_newest=is_newest)
            if lines:
                self._remote.ship(lines)
            self.cursor.offset += used
            self.cursor.shipped += len(lines)
            self._write_cursor()
            return True
        finally:
            os.close(descriptor)

    def _open(self) -> tuple[int, bool] | None:
        """Return the file that the cursor points into, and whether it is the newest; else the oldest there is."""
        files = [path for path in rotated(self._log) if path.exists()]
        for path in files:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if os.fstat(descriptor).st_ino == self.cursor.inode:
                return descriptor, path == self._log
            os.close(descriptor)
        if not files:
            return None
        path = files[0] if self.cursor.inode else files[-1]
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.cursor.inode, self.cursor.offset = os.fstat(descriptor).st_ino, 0
        return descriptor, path == self._log

    def _next_file(self, descriptor: int, *, is_newest: bool) -> bool:
        """Step from a finished rotated file to the one that came after it; return whether there is one."""
        if is_newest:
            if os.fstat(descriptor).st_size < self.cursor.offset:  # copytruncate
                self.cursor.offset = 0
            return False
        files = [path for path in rotated(self._log) if path.exists()]
        inodes = [path.stat().st_ino for path in files]
        index = inodes.index(self.cursor.inode) if self.cursor.inode in inodes else 1
        if index == 0:
            return False
        self.cursor.inode, self.cursor.offset = inodes[index - 1], 0
        self._write_cursor()
        return True

    def _next_lines(self, descriptor: int) -> tuple[list[bytes], int]:
        """Return the next whole lines that are records, and how many bytes all of them and the torn ones take."""
        block = os.pread(descriptor, CHUNK, self.cursor.offset)
        end = block.rfind(b"\n") + 1
        if not end and len(block) == CHUNK:
            return [], CHUNK  # a line longer than any record: nothing of ours
        lines: list[bytes] = []
        used = 0
        for line in block[:end].splitlines(keepends=True):
            if len(lines) >= self._batch:
                break
            used += len(line)
            if _is_record(line):
                shown = self._disguise(line)
                if shown:
                    lines.append(shown)
        return lines, used

    def _skip_if_too_much(self, descriptor: int) -> None:
        waiting = os.fstat(descriptor).st_size - self.cursor.offset
        while waiting > self._spool_bytes:
            excess = min(CHUNK, waiting - self._spool_bytes)
            block = os.pread(descriptor, excess + CHUNK, self.cursor.offset)
            end = block.find(b"\n", excess - 1) + 1
            if not end:
                return
            self.cursor.skipped += block.count(b"\n", 0, end)
            self.cursor.offset += end
            waiting -= end

    def _read_cursor(self) -> Cursor:
        try:
            return msgspec.json.decode(self._cursor_path.read_bytes(), type=Cursor)
        except (OSError, msgspec.DecodeError):
            return Cursor()

    def _write_cursor(self) -> None:
        temporary = self._cursor_path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self.cursor))
        temporary.replace(self._cursor_path)


def _is_record(line: bytes) -> bool:
    """Return whether a line is a record for the server: not garbage, and not what the chain tells of this very log."""
    place = place_of(line)
    return place is not None and place.outcome != CHAIN
