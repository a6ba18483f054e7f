# SPDX-License-Identifier: Apache-2.0
"""Reads CycloneDX VEX 1.4 to 1.6: the analyses of a BOM's vulnerabilities.

An analysis is made for what the BOM describes. So a component counts wherever it is found only if the document
describes no product of its own; if it does, it counts inside that product, an image known by its digest.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec

from sifgate.model.vex import VexStatement
from sifgate.vex.document import MAX_PRODUCTS, MAX_STATEMENTS, VexDocument
from sifgate.vex.member import Member
from sifgate.vex.moment import moment_of
from sifgate.vex.names import flaw_names
from sifgate.vex.product import BAD_PURL, NO_PURL, PACKAGE_WITHIN, digest_of, product_of
from sifgate.vex.purls import with_version
from sifgate.vex.words import CYCLONEDX_STATES

VERSIONS = ("1.4", "1.5", "1.6")
OTHER_BOM = "a component of another BOM"
ONLY_RANGE = "a range of versions"
UNAFFECTED = "a version that the vulnerability never had"
_MAX_REFERENCES = 100
_MAX_DEPTH = 32


class _Subject(NamedTuple):
    """What the document is about."""

    known: bool
    reference: str
    digest: str


def read_cyclonedx(document: Member) -> VexDocument:
    """Return the document; raises its error for anything that is not CycloneDX 1.4 to 1.6."""
    version = document.need("specVersion").choice(VERSIONS)
    metadata = document.get("metadata")
    issued = moment_of(metadata, "timestamp") if metadata else ""
    bare = VexDocument(
        file=document.file,
        format=f"CycloneDX {version}",
        id=document.optional("serialNumber") or document.file,
        author=_author(metadata) if metadata else "",
        timestamp=issued,
    )
    subject = _subject(metadata)
    purls = _components(document)
    unused: Counter[str] = Counter()
    statements: list[VexStatement] = []
    for member in document.each("vulnerabilities", MAX_STATEMENTS):
        analysis = member.get("analysis")
        if analysis is None or not analysis.has("state"):
            continue  # only told of, not analysed
        products = _products(member, subject, purls, unused)
        statements += _statements(member, analysis, bare, products)
    return msgspec.structs.replace(bare, statements=tuple(statements), unused=dict(unused))


def _statements(
    member: Member, analysis: Member, document: VexDocument, products: dict[tuple[str, ...], list[str]]
) -> list[VexStatement]:
    state = analysis.need("state").choice(tuple(CYCLONEDX_STATES))
    aliases = [reference.optional("id") for reference in member.each("references", _MAX_REFERENCES)]
    when = moment_of(analysis, "lastUpdated", "firstIssued") or moment_of(member, "updated", "published")
    return [
        VexStatement(
            document=document.id,
            author=document.author,
            vulnerabilities=flaw_names(member.need("id").text(), aliases),
            status=CYCLONEDX_STATES[state],
            products=tuple(named),
            subcomponents=components,
            justification=analysis.optional("justification"),
            statement=analysis.prose("detail"),
            timestamp=when or document.timestamp,
        )
        for components, named in products.items()
    ]


def _author(metadata: Member) -> str:
    """Return who answers for the document: its supplier, its manufacturer, or its first author."""
    for key in ("supplier", "manufacturer", "manufacture"):
        organisation = metadata.get(key)
        if organisation is not None and organisation.optional("name"):
            return organisation.optional("name")
    return next((author.optional("name") for author in metadata.each("authors", _MAX_REFERENCES)), "")


def _subject(metadata: Member | None) -> _Subject:
    component = metadata.get("component") if metadata else None
    if component is None:
        return _Subject(known=False, reference="", digest="")
    hashes = component.each("hashes", _MAX_REFERENCES)
    digests = (digest_of(each.optional("content")) for each in hashes if each.optional("alg") == "SHA-256")
    return _Subject(known=True, reference=component.optional("bom-ref"), digest=next(digests, ""))


def _components(document: Member) -> dict[str, str]:
    """Return package URLs by reference, of components within components too."""
    found: dict[str, str] = {}
    pending = [(document, 0)]
    while pending:
        parent, depth = pending.pop()
        for component in parent.each("components", MAX_STATEMENTS):
            if depth > _MAX_DEPTH:
                raise component.error(f"components are nested more than {_MAX_DEPTH} deep")
            reference = component.optional("bom-ref")
            if reference:
                found[reference] = component.optional("purl")
            pending.append((component, depth + 1))
    return found


def _products(
    member: Member, subject: _Subject, purls: dict[str, str], unused: Counter[str]
) -> dict[tuple[str, ...], list[str]]:
    """Return products by their components; without any product one empty list, so that the statement is listed."""
    whole: list[str] = []
    inside: list[str] = []
    for affected in member.each("affects", MAX_PRODUCTS):
        reference = affected.need("ref").text()
        if subject.known and reference == subject.reference:
            if subject.digest:
                whole.append(subject.digest)
            else:
                unused[NO_PURL] += 1
            continue
        for name, why in _packages(affected, reference, subject, purls):
            if why:
                unused[why] += 1
            else:
                (inside if subject.known else whole).append(name)
    found: dict[tuple[str, ...], list[str]] = {}
    if inside:
        found[tuple(dict.fromkeys(inside))] = [subject.digest]
    if whole or not found:
        found[()] = whole
    return found


def _packages(
    affected: Member, reference: str, subject: _Subject, purls: dict[str, str]
) -> list[tuple[str, str]]:
    """Return the packages that an entry of `affects` means, each as `product_of` does."""
    if reference.startswith("urn:cdx:"):
        return [("", OTHER_BOM)]
    if subject.known and not subject.digest:
        return [("", PACKAGE_WITHIN)]
    purl = purls.get(reference) or (reference if reference.startswith("pkg:") else "")
    name, why = product_of(purl, "")
    versions = list(affected.each("versions", MAX_PRODUCTS))
    if why or not versions or not name.startswith("pkg:"):
        return [(name, why)]
    return [_version(name, version) for version in versions]


def _version(purl: str, entry: Member) -> tuple[str, str]:
    if entry.optional("status") not in {"", "affected"}:
        return "", UNAFFECTED
    version = entry.optional("version")
    if not version:
        return "", ONLY_RANGE
    named = with_version(purl, version)
    return (named, "") if named else ("", BAD_PURL)
