# SPDX-License-Identifier: Apache-2.0
"""VEX documents that count for nothing: nobody trusts their author, or no product of theirs can be met."""

from __future__ import annotations

from collections.abc import Iterator

from sifgate.policy.document import Policy
from sifgate.policy.sources import PolicySources, Role
from sifgate.vex.document import VexDocument
from sifgate.vex.read import read_documents
from sifgate.vex.trust import is_trusted
from sifgate.whatif.lint.complaint import Complaint, Weight
from sifgate.whatif.lint.places import Places


def check_vex(policy: Policy, sources: PolicySources, places: Places) -> Iterator[Complaint]:
    """Yield what is wrong with the documents of the VEX directory."""
    settings = policy.vex_settings
    if settings.directory and not settings.trusted_authors:
        text = "no author of VEX documents is trusted, so none of them counts"
        place = places.of("key", "vex")
        yield Complaint(
            "vex-nobody-trusted", Weight.WARNING, place, text, "name authors under vex.trusted_authors"
        )
    for document in read_documents((file.path, file.content) for file in sources.of(Role.VEX)):
        yield from _document(document, settings.trusted_authors)


def _document(document: VexDocument, trusted: tuple[str, ...]) -> Iterator[Complaint]:
    place = f"{document.file}:1"
    if not document.author:
        text = f"document {document.id} names no author, so nobody can trust it"
        yield Complaint(
            "vex-without-author", Weight.WARNING, place, text, "ask for one that names its author"
        )
    elif trusted and not is_trusted(document.author, trusted):
        text = f"the author {document.author} is not trusted: the document counts for nothing"
        remedy = "add him to vex.trusted_authors, or move the document away"
        yield Complaint("vex-untrusted", Weight.WARNING, place, text, remedy)
    if document.draft:
        text = f"document {document.id} is a draft: it counts for nothing"
        yield Complaint("vex-draft", Weight.INFO, place, text, "wait for its final version")
    for why, number in document.unused.items():
        text = f"document {document.id}: {number} products can never be met: {why}"
        yield Complaint(
            "vex-product", Weight.INFO, place, text, "name packages by package URL, images by digest"
        )
