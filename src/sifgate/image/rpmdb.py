# SPDX-License-Identifier: Apache-2.0
"""An rpm database as evidence: what kind it is, and whether it knows a Python distribution; never parsed.

rpm stores directory names as plain text in its package headers, in all three kinds of database. A search for the name
is enough to believe it, and cannot be led astray by a hostile file.
"""

from __future__ import annotations

import re

from sifgate.image.tree import Content

_BERKELEY = {b"\x61\x15\x06\x00", b"\x00\x06\x15\x61", b"\x62\x31\x05\x00", b"\x00\x05\x31\x62"}
_TOKEN = re.compile(rb"[A-Za-z0-9_.+!-]{3,200}\.(?:dist|egg)-info")
_PIECE = 1 << 22
_OVERLAP = 256
_SHORTEST = len(".egg-info") + 3


def is_database(name: bytes, content: Content) -> bool:
    """Return whether a file with such a name is the database that its name says."""
    head = content.read(0, 16)
    if name == b"rpmdb.sqlite":
        return head.startswith(b"SQLite format 3\0")
    if name == b"Packages.db":
        return head.startswith(b"RpmP")
    return head[12:16] in _BERKELEY


def known_distributions(content: Content) -> set[bytes]:
    """Return the names of Python distributions in a database; one cut by a page boundary only in part."""
    found: set[bytes] = set()
    before = b""
    for offset in range(0, content.size, _PIECE):
        piece = before + content.read(offset, _PIECE)
        found.update(match.group() for match in _TOKEN.finditer(piece))
        before = piece[-_OVERLAP:]
    return found


def knows(found: set[bytes], name: bytes) -> bool:
    """Return whether a database knows a distribution, or may know it across a page boundary."""
    return name in found or any(len(each) >= _SHORTEST and name.endswith(each) for each in found)
