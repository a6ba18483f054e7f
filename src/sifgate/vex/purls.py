# SPDX-License-Identifier: Apache-2.0
"""Package URLs put together from what a document says in several places; pure."""

from __future__ import annotations

import msgspec

from sifgate.model.purl import parse_purl


def with_version(purl: str, version: str) -> str:
    """Return the package URL with a version; empty where it has another one already."""
    parts = parse_purl(purl)
    if parts.version not in {"", version}:
        return ""
    return str(msgspec.structs.replace(parts, version=version))


def with_release(purl: str, release: str) -> str:
    """Return the package URL with the qualifier `distro`; one that it has stays."""
    parts = parse_purl(purl)
    qualifiers = {"distro": release, **dict(parts.qualifiers)}
    return str(msgspec.structs.replace(parts, qualifiers=tuple(sorted(qualifiers.items()))))
