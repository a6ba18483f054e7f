# SPDX-License-Identifier: Apache-2.0
"""The files of a log: the open one and its rotated predecessors, compressed ones included, read line by line."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from sifgate.errors import AuditError

COMPRESSED = frozenset({".gz", ".zst", ".xz"})
LINE_LIMIT = 1 << 18
"""Bytes of the longest line that is looked at; a record has at most some 60 KiB."""
TAIL = 8 << 20
"""Bytes at the end of a file in which its last record is looked for."""


def compressed(file: Path) -> bool:
    """Return whether logrotate has packed the file."""
    return file.suffix in COMPRESSED


def history(log: Path, *, newest_first: bool = False) -> list[Path]:
    """Return the log and all its rotated files that exist, by their time of change, oldest first."""
    found = [(log, _changed(log))] if log.exists() else []
    older = ((file, _changed(file)) for file in log.parent.glob(log.name + "[.-]*") if file.is_file())
    found += sorted(older, key=lambda pair: pair[1], reverse=True)
    files = [file for file, _ in found]
    return files if newest_first else files[::-1]


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number (from 1) and bytes of each line that is not empty, without its newline; constant memory.

    Of a line longer than `LINE_LIMIT` the beginning. Raises AuditError for a file that cannot be read or unpacked.
    """
    try:
        with _opened(file) as stream:
            number = 0
            while line := stream.readline(LINE_LIMIT):
                number += 1
                rest = line
                while rest and not rest.endswith(b"\n"):
                    rest = stream.readline(LINE_LIMIT)
                if line != b"\n":
                    yield number, line.removesuffix(b"\n")
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        hint = "run as root, or as a member of audit.group; a damaged file cannot be made whole again"
        raise AuditError(f"{file}: cannot be read: {error}", hint=hint) from error


def _opened(file: Path) -> BinaryIO:
    match file.suffix:
        case ".gz":
            return cast("BinaryIO", gzip.open(file, "rb"))
        case ".xz":
            return cast("BinaryIO", lzma.open(file, "rb"))
        case ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(file.open("rb"), read_across_frames=True)
            return cast("BinaryIO", io.BufferedReader(reader, 1 << 18))
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    return os.fdopen(descriptor, "rb", buffering=1 << 18)


def tail(file: Path) -> list[bytes]:
    """Return the last lines of an uncompressed file, newest first, a torn one left out; nothing for a missing file."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - TAIL)
        block = os.pread(descriptor, TAIL, start)
    finally:
        os.close(descriptor)
    _, newline, block = block.partition(b"\n") if start else (b"", b"\n", block)
    whole, end, _torn = block.rpartition(b"\n")
    return [line for line in reversed(whole.split(b"\n")) if line] if newline and end else []


def torn_end(file: Path) -> bool:
    """Return whether a file that is not packed ends within a line; raises AuditError for one that cannot be read."""
    if compressed(file):
        return False
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - 1))
            return stream.read(1) not in (b"\n", b"")
    except OSError as error:
        raise AuditError(f"{file}: cannot be read: {error}") from error
