# SPDX-License-Identifier: Apache-2.0
"""Reads OpenVEX v0.2.0."""

from __future__ import annotations

from collections import Counter

from sifgate.model.vex import VexStatement, VexStatus
from sifgate.vex.document import MAX_PRODUCTS, MAX_STATEMENTS, VexDocument
from sifgate.vex.member import Member
from sifgate.vex.moment import moment_of
from sifgate.vex.names import flaw_names
from sifgate.vex.product import NO_COMPONENT, PACKAGE_WITHIN, digest_of, product_of
from sifgate.vex.words import STATUSES

CONTEXT = "https://openvex.dev/ns"
CONTEXTS = (CONTEXT, f"{CONTEXT}/v0.2.0")
MAX_ALIASES = 100


def read_openvex(document: Member) -> VexDocument:
    """Return the document; raises its error for anything that is not OpenVEX v0.2.0."""
    context = document.need("@context").text()
    if context not in CONTEXTS:
        raise document.need("@context").error(f"expected {CONTEXTS[1]}: other versions are not read")
    unused: Counter[str] = Counter()
    bare = VexDocument(
        file=document.file,
        format="OpenVEX 0.2.0",
        id=document.optional("@id") or document.file,
        author=document.optional("author"),
        timestamp=moment_of(document, "last_updated", "timestamp"),
    )
    issued = moment_of(document, "timestamp")
    statements: list[VexStatement] = []
    for member in document.each("statements", MAX_STATEMENTS):
        statements += _statements(member, bare, issued, unused)
    return VexDocument(
        file=bare.file,
        format=bare.format,
        id=bare.id,
        author=bare.author,
        timestamp=bare.timestamp,
        statements=tuple(statements),
        unused=dict(unused),
    )


def _statements(
    member: Member, document: VexDocument, issued: str, unused: Counter[str]
) -> list[VexStatement]:
    """Return one statement for all products that are meant whole, and one for each set of components."""
    vulnerability = member.need("vulnerability")
    aliases = [alias.text() for alias in vulnerability.each("aliases", MAX_ALIASES)]
    names = flaw_names(vulnerability.need("name").text(), aliases)
    status = VexStatus(member.need("status").choice(STATUSES))
    text = (
        member.prose("impact_statement") or member.prose("action_statement") or member.prose("status_notes")
    )
    justification = member.optional("justification")
    timestamp = moment_of(member, "timestamp") or issued
    return [
        VexStatement(
            document=document.id,
            author=document.author,
            vulnerabilities=names,
            status=status,
            products=tuple(products),
            subcomponents=components,
            justification=justification,
            statement=text,
            timestamp=timestamp,
        )
        for components, products in _products(member, unused).items()
    ]


def _products(member: Member, unused: Counter[str]) -> dict[tuple[str, ...], list[str]]:
    """Return products by their components; without any product one empty list, so that the statement is listed."""
    found: dict[tuple[str, ...], list[str]] = {}
    for product in member.each("products", MAX_PRODUCTS):
        name, why = _component(product)
        parts = [_component(part) for part in product.each("subcomponents", MAX_PRODUCTS)]
        components = tuple(part for part, _ in parts if part.startswith("pkg:"))
        if name and parts and not components:
            why = NO_COMPONENT
        elif name and parts and not name.startswith("sha256:"):
            why = PACKAGE_WITHIN
        if why:
            unused[why] += 1
        else:
            found.setdefault(components, []).append(name)
    return found or {(): []}


def _component(member: Member) -> tuple[str, str]:
    """Return a product or component as `product_of` does."""
    identity = member.optional("@id")
    identifiers = member.get("identifiers")
    purl = identifiers.optional("purl") if identifiers else ""
    hashes = member.get("hashes")
    digest = digest_of(hashes.optional("sha-256")) if hashes else ""
    if not purl and identity.startswith("pkg:"):
        purl = identity
    return product_of(purl, digest or digest_of(identity))
