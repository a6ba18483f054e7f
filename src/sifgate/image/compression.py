# SPDX-License-Identifier: Apache-2.0
"""The compressions of squashfs, each able to stop after the first bytes, none able to give more than asked.

All libraries are imported by `load()`, before the sandbox closes: afterwards nothing can be opened.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Callable

from sifgate.errors import Unscannable

Inflate = Callable[[bytes, int], bytes]
"""(compressed, limit) → the first `limit` bytes of what it holds, or all if there are fewer."""

_MEMORY = 64 << 20
"""What one block may make a decompressor allocate; squashfs blocks are at most 1 MiB."""


def _zlib() -> Inflate:
    from isal import isal_zlib

    def inflate(data: bytes, limit: int) -> bytes:
        result: bytes = isal_zlib.decompressobj().decompress(data, limit)
        return result

    return inflate


def _lzma(container: str) -> Inflate:
    import lzma

    form = lzma.FORMAT_XZ if container == "xz" else lzma.FORMAT_ALONE

    def inflate(data: bytes, limit: int) -> bytes:
        return lzma.LZMADecompressor(form, memlimit=_MEMORY).decompress(data, limit)

    return inflate


def _lz4() -> Inflate:
    from lz4 import block

    def inflate(data: bytes, limit: int) -> bytes:
        result: bytes = block.decompress(data, uncompressed_size=1 << 20)
        return result[:limit]

    return inflate


def _zstd() -> Inflate:
    import zstandard

    def inflate(data: bytes, limit: int) -> bytes:
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 23).stream_reader(io.BytesIO(data))
        return reader.read(limit)

    return inflate


def _lzo() -> Inflate:
    library = ctypes.CDLL("liblzo2.so.2")
    decompress = library.lzo1x_decompress_safe

    def inflate(data: bytes, limit: int) -> bytes:
        output = ctypes.create_string_buffer(1 << 20)
        length = ctypes.c_size_t(len(output))
        if decompress(data, ctypes.c_size_t(len(data)), output, ctypes.byref(length), None) != 0:
            raise ValueError("LZO data are damaged")
        return output.raw[: min(length.value, limit)]

    return inflate


_LIBRARIES: dict[int, tuple[str, Callable[[], Inflate]]] = {
    1: ("gzip", _zlib),
    2: ("lzma", lambda: _lzma("alone")),
    3: ("lzo", _lzo),
    4: ("xz", lambda: _lzma("xz")),
    5: ("lz4", _lz4),
    6: ("zstd", _zstd),
}
"""Squashfs's numbers (superblock, offset 20)."""

STOPS_EARLY = frozenset({1, 2, 4, 6})
"""The compressions whose first bytes can be had from the first bytes of the block."""

_loaded: dict[int, Inflate | str] = {}


def load() -> None:
    """Import every library that is here; those that are not are remembered by why."""
    for number, (_, library) in _LIBRARIES.items():
        try:
            _loaded[number] = library()
        except (ImportError, OSError, AttributeError) as error:
            _loaded[number] = str(error)


def inflater(number: int) -> Inflate:
    """Return the decompression of a squashfs; raises `Unscannable` (`format`) if there is none on this machine."""
    if number not in _LIBRARIES:
        raise Unscannable("format", f"squashfs compression {number} is unknown")
    if not _loaded:
        load()
    found = _loaded[number]
    if isinstance(found, str):
        raise Unscannable(
            "format", f"squashfs compression {_LIBRARIES[number][0]} cannot be read here: {found}"
        )
    return guarded(found)


def guarded(inflate: Inflate) -> Inflate:
    """Return the same decompression with every error of its library as `Unscannable` (`malformed`)."""

    def checked(data: bytes, limit: int) -> bytes:
        try:
            return inflate(data, limit)
        except MemoryError:
            raise
        except Exception as error:  # each library has its own errors, some of them plain `Exception`
            raise Unscannable("malformed", f"a compressed block is damaged: {error}") from error

    return checked
