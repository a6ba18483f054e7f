# SPDX-License-Identifier: Apache-2.0
"""Positioned reads of one descriptor; never a mapping, because a truncated mapping kills the reader (SIGBUS)."""

from __future__ import annotations

import os

from sifgate.errors import Unscannable


class Reader:
    """A window of a regular file, read by `pread` only; what lies outside of it does not exist."""

    def __init__(self, fd: int, offset: int, size: int, budget: int) -> None:
        self._fd = fd
        self.offset = offset
        self.size = size
        self._budget = budget
        self.bytes_read = 0
        """Bytes read so far; threads share it, so it is exact only when they have ended."""

    def window(self, offset: int, size: int) -> Reader:
        """Return a reader of a part of this one; raises `Unscannable` if the part does not lie within."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise Unscannable("malformed", f"a part at {offset} of {size} bytes lies outside of the file")
        return Reader(self._fd, self.offset + offset, size, self._budget)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes; raises `Unscannable` if they are not all there or too much was read."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Unscannable(
                "malformed", f"{length} bytes at {offset} lie outside of the {self.size} there are"
            )
        self.bytes_read += length
        if self.bytes_read > self._budget:
            raise Unscannable("bounds", f"more than {self._budget} bytes of the image had to be read")
        data = os.pread(self._fd, length, self.offset + offset)
        while len(data) < length:
            more = os.pread(self._fd, length - len(data), self.offset + offset + len(data))
            if not more:
                raise Unscannable(
                    "malformed", "the file ended before its own tables say, or was cut while being read"
                )
            data += more
        return data
