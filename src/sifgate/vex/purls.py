# SPDX-License-Identifier: Apache-2.0
"""Package URLs put together from what a document says in several places; pure."""

from __future__ import annotations

import msgspec

from sifgate.model.purl import MAX_PURL, Purl, parse_purl


def with_version(purl: str, version: str) -> str:
    """Return the package URL with a version; empty where it has another one already, or would be too long."""
    parts = parse_purl(purl)
    if parts.version not in {"", version}:
        return ""
    return _bounded(msgspec.structs.replace(parts, version=version))


def with_release(purl: str, release: str) -> str:
    """Return the package URL with the qualifier `distro`; one that it has stays; empty where it would be too long."""
    parts = parse_purl(purl)
    qualifiers = {"distro": release, **dict(parts.qualifiers)}
    return _bounded(msgspec.structs.replace(parts, qualifiers=tuple(sorted(qualifiers.items()))))


def _bounded(purl: Purl) -> str:
    text = str(purl)
    return text if len(text) <= MAX_PURL else ""
