# SPDX-License-Identifier: Apache-2.0
"""A sandbox directory as a `Tree`: every step is an `openat2` that cannot leave it, and nothing but files is opened.

The owner may change the directory while it is read; what vanishes in between is `malformed`, and a path is never
opened twice by different names. Link targets are text here: `Resolver` follows them inside the tree.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterator, Sequence

from sifgate.errors import Unscannable
from sifgate.image.tree import Content, Entry, Kind, Path, check_name, shown

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_IN_ROOT = 0x10
_HOW = struct.Struct("<QQQ")
_PIECE = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def openat2(directory: int, path: bytes, flags: int) -> int:
    """Return a descriptor of what lies at `path` inside `directory`, no link of any kind followed; raises OSError."""
    how = _HOW.pack(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_SYMLINKS)
    descriptor: int = _libc.syscall(_SYS_OPENAT2, directory, path, how, _HOW.size)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return descriptor


class DirectoryTree:
    """The tree below a directory descriptor; handles are paths."""

    def __init__(self, fd: int, budget: int) -> None:
        self._fd = fd
        self._budget = budget
        self._read = 0
        self.expected = 0
        self.notes: set[str] = set()
        self.root = Entry(Kind.DIRECTORY, stat.S_IMODE(os.fstat(fd).st_mode), 0, ())

    def children(self, directory: Entry) -> list[tuple[bytes, Entry]]:
        """Return names and entries in byte order; a directory that the worker may not read is noted, and empty."""
        try:
            descriptor = self._open(directory.handle, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:
            self._note(directory.handle)
            return []
        try:
            names = sorted(os.fsencode(name) for name in os.listdir(descriptor))  # noqa: PTH208  by descriptor
            return [(name, self._entry(descriptor, directory.handle, check_name(name))) for name in names]
        finally:
            os.close(descriptor)

    def _entry(self, descriptor: int, path: Path, name: bytes) -> Entry:
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            raise Unscannable("malformed", f"{shown((*path, name))} went away while being read") from error
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            return Entry(Kind.DIRECTORY, mode, 0, (*path, name))
        if stat.S_ISREG(status.st_mode):
            return Entry(Kind.FILE, mode, status.st_size, (*path, name))
        return Entry(Kind.SYMLINK if stat.S_ISLNK(status.st_mode) else Kind.OTHER, mode, 0, (*path, name))

    def _open(self, path: Path, flags: int) -> int:
        """Return a descriptor; raises PermissionError if the worker may not, `Unscannable` on all else."""
        try:
            return openat2(self._fd, b"/".join(path) or b".", flags | os.O_NOFOLLOW | os.O_NONBLOCK)
        except PermissionError:
            raise
        except OSError as error:
            raise Unscannable("malformed", f"{shown(path)} cannot be opened: {error.strerror}") from error

    def _note(self, path: Path) -> None:
        self.notes.add(f"unreadable: {shown(path)}")

    def target(self, link: Entry) -> bytes:
        """Return what a symlink says."""
        path: Path = link.handle
        descriptor = self._open(path[:-1], os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.readlink(path[-1], dir_fd=descriptor)
        except OSError as error:
            raise Unscannable("malformed", f"{shown(path)} went away while being read") from error
        finally:
            os.close(descriptor)

    def content(self, file: Entry) -> Content:
        """Return the content of a regular file."""
        return OpenFile(self, file)

    def heads(self, files: Sequence[Entry], length: int) -> Iterator[tuple[int, bytes]]:
        """Yield the first bytes of many files, one after the other."""
        for index, file in enumerate(files):
            try:
                yield index, self.content(file).read(0, length)
            except PermissionError:
                self._note(file.handle)

    def read(self, file: Entry, offset: int, length: int) -> bytes:
        """Return up to `length` bytes of a regular file; raises `Unscannable` if it is none any more."""
        descriptor = self._open(file.handle, os.O_RDONLY)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unscannable("malformed", f"{shown(file.handle)} is no file any more")
            data = os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)
        self._read += len(data)
        if self._read > self._budget:
            raise Unscannable("bounds", f"more than {self._budget} bytes of the image had to be read")
        return data

    def bytes_read(self) -> int:
        """Return how many bytes of files were read so far."""
        return self._read


class OpenFile:
    """A regular file below a directory; opened for each read, so that descriptors do not pile up."""

    def __init__(self, tree: DirectoryTree, file: Entry) -> None:
        self._tree = tree
        self._file = file
        self.size = file.size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`."""
        wanted = min(length, max(0, self.size - offset))
        data = self._tree.read(self._file, offset, wanted) if wanted else b""
        if len(data) < wanted:
            raise Unscannable("malformed", f"{shown(self._file.handle)} was cut while being read")
        return data

    def chunks(self) -> Iterator[bytes]:
        """Yield the whole content."""
        for offset in range(0, self.size, _PIECE):
            yield self.read(offset, _PIECE)
