# SPDX-License-Identifier: Apache-2.0
"""Text from images and users made safe for a terminal: control characters become visible escapes."""

from __future__ import annotations

_SURROGATES = 0xDC00
_BYTE = 0xFF
_PLANE = 0xFFFF


def printable(text: str, *, newlines: bool = False) -> str:
    r"""Return `text` with every character that a terminal could act upon as `\x1b`, `\u202e` and the like.

    `newlines` keeps line feeds, for texts of our own that span lines.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or (newlines and c == "\n") else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if _SURROGATES <= code <= _SURROGATES + 0xFF:  # surrogateescape: a byte that is not UTF-8
        return f"\\x{code - _SURROGATES:02x}"
    if code <= _BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _PLANE else f"\\U{code:08x}"
