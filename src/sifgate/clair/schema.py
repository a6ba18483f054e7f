# SPDX-License-Identifier: Apache-2.0
"""Clair's documents as frozen values: index report, vulnerability report, update operations.

Only the members that sifgate reads are declared; unknown ones are ignored, so a newer Clair still decodes
(clair.md §1.2, §1.5).
`decode_*` raises `msgspec.DecodeError` (which `msgspec.ValidationError` is) for anything else than such a document.
"""

from __future__ import annotations

import msgspec


class Package(msgspec.Struct, frozen=True):
    """One package as a scanner found it; `kind` is compared without case."""

    id: str = ""
    name: str = ""
    version: str = ""
    kind: str = ""
    arch: str = ""
    source: Package | None = None


class Distribution(msgspec.Struct, frozen=True):
    """One distribution as a scanner recognised it."""

    id: str = ""
    did: str = ""
    name: str = ""
    version: str = ""
    version_code_name: str = ""
    version_id: str = ""
    pretty_name: str = ""


class Repository(msgspec.Struct, frozen=True):
    """Where an advisory or a package comes from, e.g. `pypi`."""

    id: str = ""
    name: str = ""
    key: str = ""
    uri: str = ""


class Environment(msgspec.Struct, frozen=True):
    """Where a package was found."""

    package_db: str = ""
    introduced_in: str = ""
    """Digest of the layer."""
    distribution_id: str = ""
    repository_ids: list[str] | None = None


class Vulnerability(msgspec.Struct, frozen=True):
    """One advisory row; `id` is a row number and not stable across imports."""

    id: str = ""
    updater: str = ""
    name: str = ""
    issued: str = ""
    """RFC 3339; Go's zero time where unknown."""
    links: str = ""
    """URLs, separated by spaces."""
    severity: str = ""
    normalized_severity: str = ""
    fixed_in_version: str = ""
    aliases: msgspec.Raw = msgspec.field(name="Aliases", default=msgspec.Raw())
    """Other names, from claircore 1.5.52 on; undecoded, since a form that changes must not cost the whole report."""


class IndexReport(msgspec.Struct, frozen=True):
    """What the scanners saw in a manifest."""

    manifest_hash: str = ""
    state: str = ""
    packages: dict[str, Package] | None = None
    distributions: dict[str, Distribution] | None = None
    repository: dict[str, Repository] | None = None
    environments: dict[str, list[Environment]] | None = None
    success: bool = False
    err: str = ""


class VulnerabilityReport(msgspec.Struct, frozen=True):
    """Clair's full answer; findings are what `package_vulnerabilities` names, never `vulnerabilities` alone.

    The latter also holds inverted "not affected" statements from claircore 1.5.53 on.
    """

    manifest_hash: str
    packages: dict[str, Package] | None = None
    distributions: dict[str, Distribution] | None = None
    repository: dict[str, Repository] | None = None
    environments: dict[str, list[Environment]] | None = None
    vulnerabilities: dict[str, Vulnerability] | None = None
    package_vulnerabilities: dict[str, list[str] | None] | None = None
    enrichments: dict[str, list[msgspec.Raw] | None] | None = None
    not_vulnerable: dict[str, list[str] | None] | None = msgspec.field(
        name="PackageNotVulnerable", default=None
    )


class UpdateOperation(msgspec.Struct, frozen=True):
    """One run of an updater that brought something new."""

    ref: str
    updater: str = ""
    fingerprint: str = ""
    date: str = ""
    kind: str = ""


class ErrorBody(msgspec.Struct, frozen=True):
    """What Clair says when it refuses."""

    code: str = ""
    message: str = ""


_INDEX = msgspec.json.Decoder(IndexReport)
_REPORT = msgspec.json.Decoder(VulnerabilityReport)
_OPERATIONS = msgspec.json.Decoder(dict[str, list[UpdateOperation]])
_STATE = msgspec.json.Decoder(dict[str, str])
_ERROR = msgspec.json.Decoder(ErrorBody)


def decode_index(body: bytes) -> IndexReport:
    """Return the index report in `body`."""
    return _INDEX.decode(body)


def decode_report(body: bytes) -> VulnerabilityReport:
    """Return the vulnerability report in `body`."""
    return _REPORT.decode(body)


def decode_operations(body: bytes) -> dict[str, UpdateOperation]:
    """Return the newest operation of each updater."""
    return {
        name: max(operations, key=lambda operation: operation.date)
        for name, operations in _OPERATIONS.decode(body).items()
        if operations
    }


def decode_state(body: bytes) -> str:
    """Return the index state: a name for Clair's set of scanners."""
    return _STATE.decode(body).get("state", "")


def decode_error(body: bytes) -> str:
    """Return Clair's message, or empty text if the body is cut short or foreign (clair.md §1.2, 429)."""
    try:
        return _ERROR.decode(body).message
    except msgspec.DecodeError:
        return ""


def layers_named(report: IndexReport | VulnerabilityReport) -> frozenset[str]:
    """Return every layer digest that the report says a package came from."""
    environments = report.environments or {}
    return frozenset(
        entry.introduced_in for entries in environments.values() for entry in entries if entry.introduced_in
    )
