# SPDX-License-Identifier: Apache-2.0
"""`sifgate vex`: what VEX documents say and whether it counts; write one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from sifgate.cli import vex_create
from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.exceptions_options import add_policy, policy_file
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.errors import PolicyError
from sifgate.policy.files import read_file
from sifgate.policy.load import load_with_sources
from sifgate.policy.sources import Role
from sifgate.render.escape import printable
from sifgate.render.table import Column, print_table
from sifgate.vex.document import VexDocument
from sifgate.vex.effect import why_without_effect
from sifgate.vex.member import MAX_BYTES
from sifgate.vex.read import read_documents
from sifgate.vex.trust import is_trusted

EPILOG = """\
examples:
  sifgate vex list
  sifgate vex list --statements ./vendor.json      before it is put into the directory
  sifgate vex create --author security@site.example --vulnerability CVE-2026-1 \\
      --product pkg:deb/debian/curl --status not_affected --justification vulnerable_code_not_present
"""
DOCUMENTS = (
    Column("author", fold=True),
    Column("trusted"),
    Column("statements", right=True),
    Column("setting aside", right=True),
    Column("format"),
    Column("file", fold=True),
)
STATEMENTS = (
    Column("vulnerability", fold=True),
    Column("status"),
    Column("product", fold=True),
    Column("effect", fold=True),
    Column("said"),
    Column("justification", fold=True, wide=True),
    Column("file", fold=True, wide=True),
)
_SHOWN = 3


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "vex",
        help="list what VEX documents say, write one",
        description="List what VEX documents say and whether it counts; write one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    listing = tasks.add_parser(
        "list",
        help="show documents or statements, and whether they set anything aside",
        description="Show the VEX documents of the policy in force, or files, and whether they set anything aside.",
        epilog="example:\n  sifgate vex list --statements ./vendor.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("file", nargs="*", type=Path, metavar="FILE", help="default: those of the policy")
    listing.add_argument("--statements", action="store_true", help="each statement instead of each document")
    add_policy(listing)
    add_format(listing)
    vex_create.add(tasks)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Do the task."""
    return vex_create.run(arguments, places) if arguments.task == "create" else _list(arguments, places)


def _list(arguments: argparse.Namespace, places: Places) -> int:
    sources, policy = load_with_sources(policy_file(arguments.policy, places))
    if arguments.file:
        contents: Iterable[tuple[str, bytes]] = [
            (str(file), read_file(file, MAX_BYTES)) for file in arguments.file
        ]
    else:
        contents = [(file.path, file.content) for file in sources.of(Role.VEX)]
    documents = read_documents(contents, failure=PolicyError)
    trusted = policy.vex_settings.trusted_authors
    if arguments.format == "json":
        print_json(
            {"trusted_authors": trusted, "documents": [_document(each, trusted) for each in documents]}
        )
    elif not documents:
        where = sources.vex_directory or "the policy, which names no directory of them"
        print(f"no VEX documents in {printable(where)}")
    elif arguments.statements:
        rows = (row for each in documents for row in _statement_rows(each, trusted))
        print_table(STATEMENTS, rows, sys.stdout)
    else:
        print_table(DOCUMENTS, (_row(each, trusted) for each in documents), sys.stdout)
        _print_unused(documents)
    return ALLOWED


def _row(document: VexDocument, trusted: tuple[str, ...]) -> tuple[str, ...]:
    working = sum(not why_without_effect(document, each, trusted) for each in document.statements)
    return (
        document.author or "(none)",
        "yes" if is_trusted(document.author, trusted) else "no",
        str(len(document.statements)),
        str(working),
        document.format + (" (draft)" if document.draft else ""),
        document.file,
    )


def _print_unused(documents: Iterable[VexDocument]) -> None:
    """Say which products are never met, and why."""
    for document in documents:
        for why, count in sorted(document.unused.items()):
            noun = "product is" if count == 1 else "products are"
            print(printable(f"{document.file}: {count} {noun} never met: {why}"))


def _statement_rows(document: VexDocument, trusted: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    for each in document.statements:
        products = [*each.products[:_SHOWN]]
        if len(each.products) > _SHOWN:
            products.append(f"and {len(each.products) - _SHOWN} more")
        inside = f" (in it: {', '.join(each.subcomponents[:_SHOWN])})" if each.subcomponents else ""
        why = why_without_effect(document, each, trusted)
        yield (
            ", ".join(each.vulnerabilities[:1]) or "-",
            each.status.value,
            (", ".join(products) or "-") + inside,
            f"nothing: {why}" if why else "sets aside",
            each.timestamp[:10] or "-",
            each.justification or each.statement or "-",
            document.file,
        )


def _document(document: VexDocument, trusted: tuple[str, ...]) -> dict[str, Any]:
    """Return one document as JSON has it; `without_effect` is empty for statements that set something aside."""
    fields: dict[str, Any] = msgspec.to_builtins(document)
    fields["trusted"] = is_trusted(document.author, trusted)
    for statement, said in zip(fields["statements"], document.statements, strict=True):
        statement["without_effect"] = why_without_effect(document, said, trusted)
    return fields
