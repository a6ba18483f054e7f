# SPDX-License-Identifier: Apache-2.0
"""What VEX documents call a product, as sifgate can meet it: a package URL, or the digest of an image file; pure."""

from __future__ import annotations

import re

from sifgate.model.image import OsRelease
from sifgate.model.purl import Purl, parse_purl, vendor

NO_PURL = "neither a package URL nor a SHA-256 digest"
IN_REGISTRY = "an image in a registry, whose digest is that of a manifest, not of a file"
BAD_PURL = "a package URL that cannot be read"
PACKAGE_WITHIN = "a component of another package: which package holds which is not known of an image"
NO_COMPONENT = "components that are no package URLs"

REGISTRY = frozenset({"oci", "docker"})
"""Types of package URLs that name images."""
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})", re.ASCII)
_IDENTIFYING = frozenset({"package-id", "download_url", "vcs_url", "file_name", "type", "rpmmod"})
"""Qualifiers that say nothing more of a package whose version is given."""
_SOURCES = frozenset({"source", "src"})
_NO_EPOCH = "0"


def digest_of(text: str) -> str:
    """Return `sha256:…` in lower case for a SHA-256 digest with or without that prefix; empty for other text."""
    parts = _DIGEST.fullmatch(text)
    return f"sha256:{parts[1].lower()}" if parts else ""


def product_of(purl: str, digest: str) -> tuple[str, str]:
    """Return the product as `VexStatement` holds it and an empty text, or an empty text and why there is none.

    A digest in an image's package URL (`pkg:oci/…@sha256:…`) is that of a manifest, so no file ever has it.
    """
    if not purl:
        return (digest, "") if digest else ("", NO_PURL)
    try:
        parts = parse_purl(purl)
    except ValueError:
        return "", BAD_PURL
    if parts.type in REGISTRY:
        return (digest, "") if digest else ("", IN_REGISTRY)
    return purl, ""


def covers(stated: Purl, actual: Purl, os_release: OsRelease) -> bool:
    """Return whether a statement on `stated` is one on the package `actual` of an image.

    Type, namespace and name are equal; version and qualifiers must fit where they are stated. `arch=source` means
    every package built from that source. A qualifier that cannot be judged makes the answer no.
    """
    qualifiers = dict(actual.qualifiers)
    wanted = dict(stated.qualifiers)
    of_source = wanted.get("arch") in _SOURCES
    name = qualifiers.get("upstream", actual.name) if of_source else actual.name
    if (stated.type, stated.namespace, stated.name) != (actual.type, actual.namespace, name):
        return False
    if stated.subpath or not _same_version(stated, actual):
        return False
    return all(_fits(key, value, stated, qualifiers, os_release) for key, value in wanted.items())


def source_package(actual: Purl) -> tuple[str, str, str]:
    """Return type, namespace and name of the source package that a package was built from."""
    return actual.type, actual.namespace, dict(actual.qualifiers).get("upstream", actual.name)


def _same_version(stated: Purl, actual: Purl) -> bool:
    if not stated.version:
        return True
    if stated.type == "golang":
        return stated.version.removeprefix("v") == actual.version.removeprefix("v")
    if stated.type == "rpm" and ":" in stated.version:
        epoch, _, version = stated.version.partition(":")
        return version == actual.version and epoch == dict(actual.qualifiers).get("epoch", _NO_EPOCH)
    return stated.version == actual.version


def _fits(key: str, value: str, stated: Purl, actual: dict[str, str], os_release: OsRelease) -> bool:
    if key == "arch":
        return value in _SOURCES or value == actual.get("arch")
    if key == "distro":
        return _is_release(value, os_release)
    if key == "epoch":
        return value == actual.get("epoch", _NO_EPOCH)
    if key == "upstream":
        return value.partition("@")[0] == actual.get("upstream", stated.name)
    return bool(stated.version) and key in _IDENTIFYING


def _is_release(value: str, release: OsRelease) -> bool:
    """Return whether `value` (`jammy`, `debian-12`, `rhel-8`) is the image's release, or one that it is part of."""
    if not release.id:
        return False
    system, dash, version = value.lower().rpartition("-")
    if not dash:
        return value.lower() in {release.codename.lower(), release.version_id} - {""}
    if vendor(system) != vendor(release.id) or not release.version_id:
        return value.lower() == release.codename.lower() != ""
    coarser = release.version_id.startswith(f"{version}.")
    point = system == "debian" and version.startswith(
        f"{release.version_id}."
    )  # Debian's os-release has no minor
    return version == release.version_id or coarser or point
