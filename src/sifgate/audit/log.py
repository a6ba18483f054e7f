# SPDX-License-Identifier: Apache-2.0
"""The audit log: append-only JSON lines with one writer.

`append` writes, `sync` makes durable; who must not report before its record is durable calls both. A file that was
rotated away is left and a new one begun; a line torn by a power loss or a full disk is closed, so that the next record
begins on a line of its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import NoReturn

from sifgate.errors import AuditError

MODE = 0o640


class AuditLog:
    """The writer of one log; `append` from one thread, `sync` from any."""

    def __init__(self, path: Path, *, group: int = -1) -> None:
        self.path = path
        self.group = group
        self.lines = 0
        """Lines written since start."""
        self.failures = 0
        """Writes or syncs that failed since start."""
        self.failing = False
        """Whether the last attempt failed: the state that `status` shows."""
        self._descriptor = -1
        self._identity = (0, 0)
        self._torn = False
        self._lock = threading.Lock()

    def append(self, lines: bytes, count: int = 1) -> None:
        """Write whole lines in one go; raises AuditError where they did not all get into the file."""
        try:
            if self._descriptor < 0:
                self._open()
            data = b"\n" + lines if self._torn else lines
            written = os.write(self._descriptor, data)
            if written != len(data):
                self._torn = True
                self._failed(f"wrote {written} of {len(data)} bytes")
        except OSError as error:
            self._failed(error.strerror or str(error), error)
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

    def reopen_if_rotated(self) -> bool:
        """Begin a new file if the path no longer names the open one; return whether it did. Costs one stat."""
        try:
            found = self.path.stat()
        except OSError:
            return self.reopen()
        if (found.st_dev, found.st_ino) != self._identity:
            return self.reopen()
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

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self.path, flags, MODE)
        try:
            os.fchmod(descriptor, MODE)
            if self.group >= 0:
                os.fchown(descriptor, -1, self.group)
            found = os.fstat(descriptor)
            self._torn = found.st_size > 0 and os.pread(descriptor, 1, found.st_size - 1) != b"\n"
        except OSError:
            os.close(descriptor)
            raise
        with self._lock:
            self._descriptor = descriptor
            self._identity = (found.st_dev, found.st_ino)

    def _failed(self, why: str, error: OSError | None = None) -> NoReturn:
        self.failures += 1
        self.failing = True
        raise AuditError(
            f"{self.path}: {why}", hint="free space, or see audit_unwritable in the policy"
        ) from error
