# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of a descriptor: its kind, and the identity under which its content may be remembered.

::

    statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC)   never waits for a file server: open() has just asked it
    fstatfs, name_to_handle_at                          may wait: never called from the loop
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct
from typing import NamedTuple

from sifgate.errors import Unresolved

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_EMPTY_PATH = 0x1000
_AT_STATX_DONT_SYNC = 0x4000
_STATX_BASIC = 0x07FF
_STATX_MNT_ID = 0x1000
_STATX_MNT_ID_UNIQUE = 0x4000  # Linux 6.8; an older kernel leaves the bit out of the answer
_O_PATH = 0o10000000
_MAX_HANDLE = 128

# struct statx: mask, uid @20, mode @28, ino @32, size @40, ctime @96, mtime @112, dev @136, mnt_id @144
_STATX = struct.Struct("=I16xI4xH2xQQ48xqI4xqI12xIIQ")
_MOUNT = struct.Struct("=Q")

_statx = _LIBC.statx
_statx.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]


class Identity(NamedTuple):
    """One state of one file's content, as far as the kernel tells it."""

    mount: int
    """Unique mount id where the kernel has them, else the reusable one."""
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    unique: bool
    """Whether `mount` is never used again until the next boot."""
    owner: int = -1
    """The owner's uid."""

    @property
    def regular(self) -> bool:
        """Whether this is a regular file; only these are remembered."""
        return stat.S_ISREG(self.mode)


def identify(descriptor: int) -> Identity:
    """Return the identity of what a descriptor stands for; raises OSError."""
    mask = _STATX_BASIC | _STATX_MNT_ID_UNIQUE
    buffer = ctypes.create_string_buffer(256)
    if _statx(descriptor, b"", _AT_EMPTY_PATH | _AT_STATX_DONT_SYNC, mask, buffer) != 0:
        raise OSError(ctypes.get_errno(), "statx")
    answered, owner, mode, inode, size, ctime, ctime_ns, mtime, mtime_ns, major, minor, mount = (
        _STATX.unpack_from(buffer)
    )
    unique = answered & _STATX_MNT_ID_UNIQUE != 0
    if not unique:
        mount = mount_id(descriptor)
    return Identity(
        mount,
        os.makedev(major, minor),
        inode,
        size,
        mtime * 1_000_000_000 + mtime_ns,
        ctime * 1_000_000_000 + ctime_ns,
        mode,
        unique,
        owner,
    )


def mount_id(descriptor: int) -> int:
    """Return the mount id as /proc/self/mountinfo counts (unmounting frees it for the next); raises OSError."""
    buffer = ctypes.create_string_buffer(256)
    if _statx(descriptor, b"", _AT_EMPTY_PATH | _AT_STATX_DONT_SYNC, _STATX_MNT_ID, buffer) != 0:
        raise OSError(ctypes.get_errno(), "statx")
    found: int = _MOUNT.unpack_from(buffer, 144)[0]
    return found


def file_system_magic(descriptor: int) -> int:
    """Return the magic number of the file system (statfs(2)); may wait for a file server; raises OSError."""
    buffer = ctypes.create_string_buffer(256)
    if _LIBC.fstatfs(descriptor, buffer) != 0:
        raise OSError(ctypes.get_errno(), "fstatfs")
    magic: int = struct.unpack_from("@l", buffer, 0)[0]
    return magic & 0xFFFFFFFF


def file_handle(descriptor: int) -> bytes:
    """Return the file's handle, which names it for good on its file system; empty where it has none."""
    buffer = ctypes.create_string_buffer(
        struct.pack("=Ii", _MAX_HANDLE, 0) + bytes(_MAX_HANDLE), 8 + _MAX_HANDLE
    )
    mount = ctypes.c_int(0)
    if _LIBC.name_to_handle_at(descriptor, b"", buffer, ctypes.byref(mount), _AT_EMPTY_PATH) != 0:
        return b""
    size, kind = struct.unpack_from("=Ii", buffer, 0)
    return struct.pack("=i", kind) + buffer.raw[8 : 8 + size]


def check_received(descriptor: int) -> Identity:
    """Return the identity of a read-only regular file or directory; raises Unresolved for any other descriptor."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if flags & _O_PATH:
        raise Unresolved("the descriptor cannot be read (O_PATH)")
    if flags & os.O_ACCMODE != os.O_RDONLY:
        raise Unresolved("the descriptor can be written")
    identity = identify(descriptor)
    kind = stat.S_IFMT(identity.mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise Unresolved(f"not a file or directory but {_KINDS.get(kind, 'something else')}")
    return identity


_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a symbolic link",
}


class ReadLease:
    """A read lease while a file is read: proof that nobody had it open for writing, mapped or not.

    A writer's open() waits until the lease is given back (at most /proc/sys/fs/lease-break-time); the holder is told by
    SIGIO, which the agent ignores, since it looks at the end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.held = False
        self.writer = False
        """Whether somebody has the file open for writing right now."""
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            self.held = True
        except OSError as error:
            self.writer = error.errno == errno.EAGAIN

    def release(self) -> bool:
        """Give the lease back; return whether it had been held from beginning to end."""
        if not self.held:
            return False
        kept = fcntl.fcntl(self._descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK
        fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        self.held = False
        return kept
