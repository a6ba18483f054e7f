# SPDX-License-Identifier: Apache-2.0
"""`pkg:deb/debian/openssl@3.0.*`: a package URL whose parts may be patterns with `*` and `[…]`."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.purl import Purl, package_of, parse_purl
from sifgate.policy.conditions.family import Truth
from sifgate.yamlnode import Node, quoted

MAX_PURL = 300
QUALIFIERS = ("arch", "distro", "upstream")
ECOSYSTEMS = {
    "apk": "apk",
    "deb": "dpkg",
    "gem": "ruby",
    "golang": "go",
    "maven": "java",
    "pypi": "python",
    "rpm": "rpm",
}
"""Types of package URLs, and the manager that keeps packages of the type."""
_SYSTEM = frozenset({"deb", "rpm", "apk"})
"""Types whose namespace is the distribution: without one it is not known; others without one have none."""


def read_purl(node: Node) -> Purl:
    """Return the parts of the pattern; raises the document's error for what is no package URL."""
    text = node.text(maximum=MAX_PURL)
    try:
        found = parse_purl(text)
    except ValueError as error:
        raise node.error(f"{quoted(text)} is no package URL: {error}") from None
    if found.type not in ECOSYSTEMS:
        raise node.error(
            f"no package here has the type {quoted(found.type)}; valid: {', '.join(ECOSYSTEMS)}",
            word=found.type,
            valid=ECOSYSTEMS,
        )
    if found.subpath:
        raise node.error(f"a package URL here has no subpath, got {quoted(found.subpath)}")
    for key, _ in found.qualifiers:
        if key not in QUALIFIERS:
            text = f"unknown qualifier {quoted(key)}; valid: {', '.join(QUALIFIERS)}"
            raise node.error(text, word=key, valid=QUALIFIERS)
    return found


def fits_purl(wanted: Purl, finding: Finding, release: OsRelease) -> Truth:
    """Return whether every part that the pattern names fits; what the facts lack is unknown."""
    if not finding.manager:
        return Truth.UNKNOWN
    if ECOSYSTEMS[wanted.type] != finding.manager:
        return Truth.FALSE
    package = package_of(finding, release)
    actual = {"upstream": package.name, **dict(package.qualifiers)}
    namespace = Truth.UNKNOWN if package.type in _SYSTEM else Truth.FALSE
    return min(
        _part(wanted.namespace, package.namespace, lacking=namespace),
        _part(wanted.name, package.name),
        _part(wanted.version, package.version),
        *(_part(value, actual.get(key, "")) for key, value in wanted.qualifiers),
    )


def say_purl(wanted: Purl) -> str:
    """Return the pattern as people write it, without `pkg:`."""
    parts = "/".join(part for part in (wanted.type, wanted.namespace, wanted.name) if part)
    return f"{parts}@{wanted.version}" if wanted.version else parts


def _part(expected: str, actual: str, *, lacking: Truth = Truth.UNKNOWN) -> Truth:
    if not expected:
        return Truth.TRUE
    return Truth.of(_compiled(expected).fullmatch(actual) is not None) if actual else lacking


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
