# SPDX-License-Identifier: Apache-2.0
"""The audit log: append-only JSON lines with one writer.

`append` writes, `sync` makes durable; who must not report before its record is durable calls both. A file that was
rotated away is left and a new one begun; a line torn by a power loss or a full disk is closed, so that the next record
begins on a line of its own. With a chain (`sifgate.audit.chain`) each line is bound to the one before.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import NoReturn

from sifgate.audit.chain import Chain, Link
from sifgate.audit.files import LINE_LIMIT
from sifgate.errors import AuditError

MODE = 0o640


class AuditLog:
    """The writer of one log; `append` from one thread, `sync` from any."""

    def __init__(self, path: Path, *, group: int = -1, chain: Chain | None = None) -> None:
        self.path = path
        self.group = group
        self.chain = chain
        """Binds each line to the one before; None: lines are written as they are."""
        self.lines = 0
        """Records of decisions written since start."""
        self.failures = 0
        """Writes or syncs that failed since start."""
        self.failing = False
        """Whether the last attempt failed: the state that `status` shows."""
        self._descriptor = -1
        self._identity = (0, 0)
        self._torn = False
        self._size = 0
        """Bytes that the open file must have."""
        self._resumed = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Open the file and find the end of the chain, so that the first record need not wait for it.

        Where that fails, the first record tries again and says so.
        """
        if self._descriptor < 0:
            with contextlib.suppress(OSError, AuditError):
                self._open()

    def append(self, lines: bytes, count: int = 1) -> None:
        """Write whole lines in one go; raises AuditError where they did not all get into the file."""
        try:
            if self._descriptor < 0:
                self._open()
            linked = None if self.chain is None else self.chain.link(lines)
            data = lines if linked is None else linked.data
            if self._torn:
                data = b"\n" + data
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._failed(error.strerror or str(error), error)
        self._size += written
        if written != len(data):
            self._tear(data, written)
        if self.chain is not None and linked is not None:
            self.chain.written(linked)
        self._torn = False
        self.failing = False
        self.lines += count

    def sync(self) -> None:
        """Make everything appended so far durable; raises AuditError where the disk says no."""
        with self._lock:
            try:
                descriptor = os.dup(self._descriptor)
            except OSError as error:
                self._failed(error.strerror or str(error), error)
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            self._failed(error.strerror or str(error), error)
        finally:
            os.close(descriptor)

    def durable_stand(self) -> Link | None:
        """Return how far the chain is on the disk; None where there is no chain, or the disk says no."""
        stand = None if self.chain is None else self.chain.stand
        with self._lock:
            try:
                descriptor = os.dup(self._descriptor)
            except OSError:
                return None
        try:
            os.fdatasync(descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return stand

    def reopen_if_rotated(self) -> bool:
        """Begin a new file if the path no longer names the open one; return whether it did. Costs one stat."""
        try:
            found = self.path.stat()
        except OSError:
            return self.reopen()
        if (found.st_dev, found.st_ino) != self._identity:
            return self.reopen()
        if found.st_size != self._size:
            self._resized(found.st_size)
        return False

    def reopen(self) -> bool:
        """Close the file, made durable, and open what the path names now (SIGHUP after logrotate)."""
        self.close()
        try:
            self._open()
        except OSError:
            self.failures += 1
            self.failing = True
            return False
        return True

    def close(self) -> None:
        """Make everything durable and close the file."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            self._identity = (0, 0)
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.fdatasync(descriptor)
            os.close(descriptor)
            self.anchor()

    def anchor(self) -> None:
        """Write down beside the log how far the chain is; that this fails costs only what it would have noticed."""
        if self.chain is not None:
            with contextlib.suppress(OSError):
                self.chain.keep()

    def _tear(self, data: bytes, written: int) -> NoReturn:
        """Note that a write ended early, and raise."""
        if written:
            self._torn = not data[:written].endswith(b"\n")
        if self.chain is not None:
            self.chain.torn(data, written)
        self._failed(f"wrote {written} of {len(data)} bytes")

    def _resized(self, size: int) -> None:
        """Note that somebody else has written into the file, or cut it."""
        if self.chain is not None:
            self.chain.changed(self._size, size)
        self._size = size
        with contextlib.suppress(OSError):
            self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self.path, flags, MODE)
        try:
            os.fchmod(descriptor, MODE)
            if self.group >= 0:
                os.fchown(descriptor, -1, self.group)
            found = os.fstat(descriptor)
            last, part = _end(descriptor, found.st_size)
            if self.chain is not None:
                self._take_up(self.chain, found.st_size, last, part)
        except OSError:
            os.close(descriptor)
            raise
        self._torn = bool(part)
        self._size = found.st_size
        with self._lock:
            self._descriptor = descriptor
            self._identity = (found.st_dev, found.st_ino)

    def _take_up(self, chain: Chain, size: int, last: bytes, part: bytes) -> None:
        """Have the chain go on from what stands in the file."""
        if not self._resumed:
            chain.resume(self.path)
            self._resumed = True
        else:
            chain.opened(size, last)
        if part:
            chain.found_torn(part)

    def _failed(self, why: str, error: OSError | None = None) -> NoReturn:
        self.failures += 1
        self.failing = True
        raise AuditError(
            f"{self.path}: {why}", hint="free space, or see audit_unwritable in the policy"
        ) from error


def _end(descriptor: int, size: int) -> tuple[bytes, bytes]:
    """Return the last whole line of a file and what stands behind it, empty after a newline."""
    block = os.pread(descriptor, LINE_LIMIT, max(0, size - LINE_LIMIT))
    whole, _, part = block.rpartition(b"\n")
    return whole.rpartition(b"\n")[2], part
