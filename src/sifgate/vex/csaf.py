# SPDX-License-Identifier: Apache-2.0
"""Reads CSAF 2.0 documents of the profile VEX, as Red Hat and SUSE publish them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from sifgate.model.vex import VexStatement, VexStatus
from sifgate.vex.csaf_products import Products, read_products
from sifgate.vex.document import MAX_PRODUCTS, MAX_STATEMENTS, VexDocument
from sifgate.vex.member import Member
from sifgate.vex.moment import moment_of
from sifgate.vex.names import flaw_names
from sifgate.vex.words import CSAF_STATUSES

CATEGORY = "csaf_vex"
TRACKING_STATUSES = ("draft", "final", "interim")
_MAX_ENTRIES = 10_000


def read_csaf(document: Member) -> VexDocument:
    """Return the document; raises its error for anything that is not CSAF 2.0 of category `csaf_vex`."""
    head = document.need("document")
    head.need("csaf_version").choice(("2.0",))
    head.need("category").choice((CATEGORY,))
    tracking = head.need("tracking")
    bare = VexDocument(
        file=document.file,
        format="CSAF 2.0",
        id=tracking.optional("id") or document.file,
        author=head.need("publisher").optional("name"),
        timestamp=moment_of(tracking, "current_release_date"),
        draft=tracking.need("status").choice(TRACKING_STATUSES) == "draft",
    )
    products = read_products(document)
    unused: Counter[str] = Counter()
    statements: list[VexStatement] = []
    for vulnerability in document.each("vulnerabilities", MAX_STATEMENTS):
        statements += _statements(vulnerability, bare, products, unused)
    return msgspec.structs.replace(bare, statements=tuple(statements), unused=dict(unused))


def _statements(
    member: Member, document: VexDocument, products: Products, unused: Counter[str]
) -> list[VexStatement]:
    identities = [identity.optional("text") for identity in member.each("ids", _MAX_ENTRIES)]
    name = member.optional("cve") or next(iter(identities), "")
    bare = VexStatement(
        document=document.id,
        author=document.author,
        vulnerabilities=flaw_names(name, identities),
        status=VexStatus.UNDER_INVESTIGATION,
        statement=_impact(member),
        timestamp=document.timestamp,
    )
    justifications = _justifications(member, products)
    return [
        msgspec.structs.replace(
            bare, status=status, products=tuple(named), subcomponents=components, justification=justification
        )
        for status, entries in _by_status(member).items()
        for (justification, components), named in _met(entries, status, justifications, products, unused)
    ]


def _by_status(member: Member) -> dict[VexStatus, list[Member]]:
    """Return the entries of `product_status` by what they say."""
    status = member.get("product_status")
    found: dict[VexStatus, list[Member]] = {}
    for word, meaning in CSAF_STATUSES.items():
        entries = list(status.each(word, MAX_PRODUCTS)) if status else []
        if entries:
            found.setdefault(meaning, []).extend(entries)
    return found


def _met(
    entries: list[Member],
    status: VexStatus,
    justifications: dict[str, str],
    products: Products,
    unused: Counter[str],
) -> Iterable[tuple[tuple[str, tuple[str, ...]], list[str]]]:
    """Return products by justification and components; without any one empty list, so that it is listed."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for entry in entries:
        reference = entry.text()
        product, why = products.resolve(reference)
        if product is None:
            unused[why] += 1
            continue
        justification = justifications.get(reference, "") if status is VexStatus.NOT_AFFECTED else ""
        found.setdefault((justification, product.components), []).append(product.name)
    return (found or {("", ()): []}).items()


def _justifications(member: Member, products: Products) -> dict[str, str]:
    """Return the labels of `flags` by product."""
    found: dict[str, str] = {}
    for flag in member.each("flags", _MAX_ENTRIES):
        label = flag.need("label").text()
        for product in flag.each("product_ids", MAX_PRODUCTS):
            found[product.text()] = label
        for group in flag.each("group_ids", MAX_PRODUCTS):
            found.update(dict.fromkeys(products.groups.get(group.text(), ()), label))
    return found


def _impact(member: Member) -> str:
    threats = member.each("threats", _MAX_ENTRIES)
    return next(
        (threat.prose("details") for threat in threats if threat.optional("category") == "impact"), ""
    )
