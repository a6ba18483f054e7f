# SPDX-License-Identifier: Apache-2.0
"""Small files of users, read beside the loop and its threads: a file system that never answers costs its user only.

A read of a FUSE mount waits for the user's own daemon, for ever if it likes. So each read has a thread of its own, so
many per user at a time; the others of that user wait for these, no longer than a launch can.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from functools import partial

from sifgate.agent.loop import Loop
from sifgate.agent.turns import Promise

PER_USER = 4
IN_ALL = 64
PATIENCE = 3.0
"""Seconds that a launch waits for its file."""


class _Read:
    """One read, running or waiting for its turn."""

    def __init__(self, uid: int, descriptor: int, limit: int) -> None:
        self.uid = uid
        self.descriptor = os.dup(descriptor)
        self.limit = limit
        self.promise: Promise[bytes | None] = Promise()


class Reads:
    """Used from the loop only."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._running: dict[int, int] = {}
        self._waiting: deque[_Read] = deque()

    def of(self, uid: int, descriptor: int, limit: int) -> Promise[bytes | None]:
        """Return a promise of the file's bytes; None where it is longer, cannot be read, or does not answer in time."""
        read = _Read(uid, descriptor, limit)
        self._waiting.append(read)
        self._loop.later(PATIENCE, lambda: read.promise.keep(None))
        self._start()
        return read.promise

    def _start(self) -> None:
        """Begin what may begin, first come first served among users who have room."""
        for _ in range(len(self._waiting)):
            read = self._waiting.popleft()
            if read.promise.done:
                os.close(read.descriptor)
            elif self._running.get(read.uid, 0) >= PER_USER or sum(self._running.values()) >= IN_ALL:
                self._waiting.append(read)
            else:
                self._running[read.uid] = self._running.get(read.uid, 0) + 1
                threading.Thread(target=self._work, args=(read,), name="sifgate-read", daemon=True).start()

    def _work(self, read: _Read) -> None:
        data = _whole(read.descriptor, read.limit)
        self._loop.soon(partial(self._over, read, data))

    def _over(self, read: _Read, data: bytes | None) -> None:
        self._running[read.uid] -= 1
        if not self._running[read.uid]:
            del self._running[read.uid]
        read.promise.keep(data)
        self._start()


def _whole(descriptor: int, limit: int) -> bytes | None:
    """Return what the file holds, and close it."""
    parts: list[bytes] = []
    size = 0
    try:
        while size <= limit:
            part = os.pread(descriptor, limit + 1 - size, size)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None
