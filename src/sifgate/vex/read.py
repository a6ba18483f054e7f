# SPDX-License-Identifier: Apache-2.0
"""Reads VEX documents of any format that is known here; whose they are is asked later (`sifgate.vex.match`)."""

from __future__ import annotations

from collections.abc import Iterable

from sifgate.errors import PolicyError, SifgateError
from sifgate.model.vex import VexStatement
from sifgate.vex.csaf import read_csaf
from sifgate.vex.cyclonedx import read_cyclonedx
from sifgate.vex.document import MAX_STATEMENTS, VexDocument
from sifgate.vex.member import Member, parse
from sifgate.vex.openvex import read_openvex

MAX_DOCUMENTS = 5000
HINT = "move it out of the directory of VEX documents, or correct it"


def read_documents(
    sources: Iterable[tuple[str, bytes]], *, failure: type[SifgateError] = PolicyError
) -> tuple[VexDocument, ...]:
    """Return the documents of files, each a name and its content, in order; raises `failure` naming file and member.

    Whoever the author is, a file that cannot be read is an error: what is said in it may be what a site counts on.
    """
    documents: list[VexDocument] = []
    statements = 0
    for name, content in sources:
        member = parse(name, content, failure)
        document = _read(member)
        statements += len(document.statements)
        if len(documents) == MAX_DOCUMENTS or statements > MAX_STATEMENTS:
            bound = f"more than {MAX_DOCUMENTS} VEX documents or {MAX_STATEMENTS} statements in all"
            raise member.error(bound, hint="keep those that speak of what the site runs")
        documents.append(document)
    return tuple(documents)


def read_vex(
    sources: Iterable[tuple[str, bytes]], *, failure: type[SifgateError] = PolicyError
) -> tuple[VexStatement, ...]:
    """Return the statements of all documents but drafts, in order; raises as `read_documents`."""
    documents = read_documents(sources, failure=failure)
    return tuple(each for document in documents if not document.draft for each in document.statements)


def _read(document: Member) -> VexDocument:
    """Return the document, read by the format that it says it has."""
    if document.has("@context"):
        return read_openvex(document)
    if document.has("bomFormat"):
        document.need("bomFormat").choice(("CycloneDX",))
        return read_cyclonedx(document)
    if document.has("document") and document.need("document").has("csaf_version"):
        return read_csaf(document)
    raise document.error("neither OpenVEX nor CSAF VEX nor CycloneDX VEX", hint=HINT)
