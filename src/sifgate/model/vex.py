# SPDX-License-Identifier: Apache-2.0
"""What an author says of one vulnerability in some products (VEX), whatever format he wrote it in."""

from __future__ import annotations

from enum import Enum

import msgspec


class VexStatus(str, Enum):
    """The statuses of OpenVEX v0.2.0; CSAF's and CycloneDX's are mapped to these."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"


class VexStatement(msgspec.Struct, frozen=True):
    """One statement of one document."""

    document: str
    """Id of the document."""
    author: str
    vulnerabilities: tuple[str, ...]
    """The identifier and its aliases, upper case."""
    status: VexStatus
    products: tuple[str, ...] = ()
    """Package URLs, or `sha256:…` of a whole image; a statement without products says nothing here."""
    subcomponents: tuple[str, ...] = ()
    """Package URLs inside an image product."""
    justification: str = ""
    """OpenVEX's word, kept as written."""
    statement: str = ""
    """Impact or action, one line."""
    timestamp: str = ""
    """ISO time of the statement; of two on the same product the later one holds."""
