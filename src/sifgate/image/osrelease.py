# SPDX-License-Identifier: Apache-2.0
"""`os-release`: which distribution the image says it is; the first file found counts, as for Clair's scanners."""

from __future__ import annotations

from sifgate.model.image import OsRelease

PATHS = ((b"etc", b"os-release"), (b"usr", b"lib", b"os-release"))
_LONGEST_VALUE = 256


def parse(data: bytes) -> dict[str, str]:
    """Return names and values of an os-release or lsb-release file; lines that are neither are passed over."""
    values: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or not name.replace("_", "").isalnum():
            continue
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        values[name] = value[:_LONGEST_VALUE]
    return values


def os_release(values: dict[str, str]) -> OsRelease:
    """Return what the verdict keeps of it."""
    return OsRelease(
        id=values.get("ID", ""),
        version_id=values.get("VERSION_ID", ""),
        codename=values.get("VERSION_CODENAME", ""),
        pretty_name=values.get("PRETTY_NAME", ""),
    )
