# SPDX-License-Identifier: Apache-2.0
"""A file system that lies: one file whose content changes while inode, size and all times stay as they were.

Speaks the kernel's FUSE protocol (linux/fuse.h, 7.31) over /dev/fuse itself, so that no library is needed; root only.

::

    in:  len u32, opcode u32, unique u64, nodeid u64, uid, gid, pid u32, padding u32 | body
    out: len u32, error i32, unique u64                                              | body
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import threading
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_HEAD = struct.Struct("<IIQQIIII")
_REPLY = struct.Struct("<IiQ")
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE, _FLUSH, _INIT = 1, 2, 3, 14, 15, 17, 18, 25, 26
_DIRECT_IO = 1
_DETACH = 2
_TIME = 1_600_000_000


class LyingFileSystem:
    """Mounted at `place` until closed; `place / "x.sif"` reads as `content`, which a test may change at any time."""

    def __init__(self, place: Path, content: bytes) -> None:
        self.place = place
        self.content = content
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if _LIBC.mount(b"liar", bytes(place), b"fuse", 6, options) != 0:  # MS_NOSUID | MS_NODEV
            number = ctypes.get_errno()
            os.close(self._device)
            raise OSError(number, os.strerror(number))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Unmount."""
        _LIBC.umount2(bytes(self.place), _DETACH)
        self._thread.join(10)
        os.close(self._device)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, 1 << 18)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return  # ENODEV: unmounted
            _, opcode, unique, node, *_ = _HEAD.unpack_from(request)
            if opcode == _FORGET:
                continue
            number, body = self._answer(opcode, node, request[_HEAD.size :])
            with contextlib.suppress(OSError):
                os.write(self._device, _REPLY.pack(_REPLY.size + len(body), -number, unique) + body)

    def _answer(self, opcode: int, node: int, body: bytes) -> tuple[int, bytes]:  # noqa: PLR0911 - a table of replies
        if opcode == _INIT:
            return 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, 65_536, 0, 12, 9, 65_536, 1, 0, 0, 0)
        if opcode == _LOOKUP:
            if body.rstrip(b"\0") != b"x.sif":
                return errno.ENOENT, b""
            return 0, struct.pack("<QQQQII", 2, 1, 0, 0, 0, 0) + self._attributes(2)
        if opcode == _GETATTR:
            return 0, struct.pack("<QII", 0, 0, 0) + self._attributes(node)
        if opcode == _OPEN:
            return 0, struct.pack("<QII", 0, _DIRECT_IO, 0)
        if opcode == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return 0, self.content[offset : offset + size]
        if opcode == _STATFS:
            return 0, struct.pack("<QQQQQIIII24x", 1, 1, 1, 1, 1, 4096, 255, 4096, 0)
        if opcode in (_RELEASE, _FLUSH):
            return 0, b""
        return errno.ENOSYS, b""

    def _attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o644
        times = (_TIME, _TIME, _TIME, 0, 0, 0)
        size = 0 if node == 1 else len(self.content)
        return struct.pack("<QQQQQQIIIIIIIIII", node, size, 1, *times, mode, 1, 0, 0, 0, 4096, 0)
