# SPDX-License-Identifier: Apache-2.0
"""A VEX document as read: its statements in sifgate's words, and how many of its products can never be met."""

from __future__ import annotations

import msgspec

from sifgate.model.vex import VexStatement

MAX_STATEMENTS = 100_000
"""Of all documents together."""
MAX_PRODUCTS = 50_000
"""Of one statement."""


class VexDocument(msgspec.Struct, frozen=True):
    """One file."""

    file: str
    format: str
    """`OpenVEX 0.2.0`, `CSAF 2.0`, `CycloneDX 1.5`."""
    id: str
    author: str
    """Empty: the document names none, so nobody can trust it."""
    timestamp: str = ""
    statements: tuple[VexStatement, ...] = ()
    unused: dict[str, int] = {}
    """Products that cannot be told in an image, by why; what is said of them sets nothing aside."""
    draft: bool = False
    """Whether its author says himself that it is a draft: then nothing of it counts."""
