# SPDX-License-Identifier: Apache-2.0
"""Package URLs (purl): one read from text, and the one of a finding's package; pure.

Read by the rules of the purl specification (ECMA-427). Written here rather than with packageurl-python, since a verdict
has 5,000 packages and that library takes 10 µs each; the tests compare the two.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter
from urllib.parse import quote, unquote

import msgspec

from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease

MAX_PURL = 1000
PACKAGE_FACTS = attrgetter("manager", "package", "version", "source", "arch")
"""What the package URL of a finding is made of, beside the image's distribution."""

_TYPES = {
    "dpkg": "deb",
    "rpm": "rpm",
    "apk": "apk",
    "python": "pypi",
    "go": "golang",
    "java": "maven",
    "ruby": "gem",
    "rhcc": "oci",
}
_VENDORS = {
    "rhel": "redhat",
    "sles": "suse",
    "sled": "suse",
    "opensuse-leap": "opensuse",
    "opensuse-tumbleweed": "opensuse",
    "amazon": "amzn",
    "oracle": "ol",
}
"""One word for each vendor of whom several are in use (Syft, Trivy, vendors' own documents)."""
_SYSTEM = frozenset({"deb", "rpm", "apk"})
_LOWER = frozenset({"deb", "apk", "golang", "github", "bitbucket"})
_TYPE = re.compile(r"[a-z][a-z0-9.+-]*", re.ASCII)
_KEY = re.compile(r"[a-z][a-z0-9._-]*", re.ASCII)
_EPOCH = re.compile(r"([0-9]{1,9}):(.+)", re.ASCII)
_SEPARATORS = re.compile(r"[-_.]+")


class Purl(msgspec.Struct, frozen=True):
    """The parts of a package URL, decoded; equal packages have equal type, namespace and name."""

    type: str
    namespace: str
    name: str
    version: str = ""
    """Empty: every version is meant."""
    qualifiers: tuple[tuple[str, str], ...] = ()
    """Sorted by key."""
    subpath: str = ""

    @property
    def package(self) -> tuple[str, str, str]:
        """Return what names the package whatever its version: type, namespace, name."""
        return self.type, self.namespace, self.name

    def __str__(self) -> str:
        parts = [part for part in (*self.namespace.split("/"), self.name) if part]
        text = f"pkg:{self.type}/{'/'.join(map(_quoted, parts))}"
        if self.version:
            text += f"@{_quoted(self.version)}"
        if self.qualifiers:
            text += "?" + "&".join(
                f"{key}={quote(value, safe=':/', errors='replace')}" for key, value in self.qualifiers
            )
        return f"{text}#{quote(self.subpath, safe='/:')}" if self.subpath else text


def parse_purl(text: str) -> Purl:
    """Return the parts of a package URL; raises ValueError with a sentence that says what is wrong."""
    if len(text) > MAX_PURL:
        raise ValueError(f"longer than {MAX_PURL} characters")
    if text[:4].lower() != "pkg:":
        raise ValueError('a package URL begins with "pkg:"')
    rest, _, subpath = text[4:].lstrip("/").partition("#")
    rest, _, query = rest.partition("?")
    path, version = _split_version(rest.rstrip("/"))
    kind, *segments = path.split("/")
    kind = kind.lower()
    if not _TYPE.fullmatch(kind):
        raise ValueError("the package URL names no type, such as deb or pypi")
    names = [unquote(segment) for segment in segments if segment]
    if not names:
        raise ValueError("the package URL names no package")
    namespace, name = _canonical(kind, "/".join(names[:-1]), names[-1])
    return Purl(kind, namespace, name, unquote(version), _qualifiers(query), unquote(subpath).strip("/"))


def vendor(system: str) -> str:
    """Return the namespace of a distribution's packages for its ID in os-release, or another word for it."""
    word = system.lower()
    return _VENDORS.get(word, word)


def purl_of(finding: Finding, os_release: OsRelease) -> str:
    """Return the package URL of a finding's package, e.g. `pkg:deb/debian/git@1.0?arch=amd64&distro=debian-11`.

    `upstream` names the source package where it differs; a manager that is not known gives `pkg:generic/…`.
    """
    return str(package_of(finding, os_release))


def package_of(finding: Finding, os_release: OsRelease) -> Purl:
    """Return the parts of `purl_of`."""
    return _package(PACKAGE_FACTS(finding), os_release)


@lru_cache(maxsize=16384)
def _package(facts: tuple[str, ...], os_release: OsRelease) -> Purl:
    manager, package, version, source, arch = facts
    kind = _TYPES.get(manager, "generic")
    namespace, system, release = "", os_release.id, os_release.version_id
    qualifiers: dict[str, str] = {}
    if kind in _SYSTEM:
        namespace = system
        qualifiers = {
            "arch": arch,
            "distro": f"{system}-{release}" if system and release else "",
            "upstream": source if source != package else "",
        }
    elif kind == "maven" and ":" in package:
        namespace, _, package = package.partition(":")
    elif kind == "golang":
        namespace, _, package = package.rpartition("/")
    epoch = _EPOCH.fullmatch(version) if kind == "rpm" else None
    if epoch:
        version = epoch[2]
        qualifiers["epoch"] = epoch[1]
    given = tuple(sorted((key, value) for key, value in qualifiers.items() if value))
    return Purl(kind, *_canonical(kind, namespace, package), version, given)


def _canonical(kind: str, namespace: str, name: str) -> tuple[str, str]:
    """Return namespace and name as the type spells them, so that equal packages compare equal."""
    if kind in _SYSTEM:
        namespace = vendor(namespace)
    if kind in _LOWER:
        return namespace.lower(), name.lower()
    return (namespace, _SEPARATORS.sub("-", name).lower()) if kind == "pypi" else (namespace, name)


def _split_version(path: str) -> tuple[str, str]:
    """Return what stands before and after the `@` of the last segment."""
    at = path.rfind("@")
    return (path[:at], path[at + 1 :]) if at > path.rfind("/") else (path, "")


def _qualifiers(query: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        key = key.lower()
        if not _KEY.fullmatch(key):
            raise ValueError("a qualifier of the package URL has no proper name")
        if key in found:
            raise ValueError(f'the qualifier "{key}" of the package URL stands twice')
        if value:
            found[key] = unquote(value)
    return tuple(sorted(found.items()))


def _quoted(text: str) -> str:
    return quote(text, safe=":", errors="replace")
