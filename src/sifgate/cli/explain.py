# SPDX-License-Identifier: Apache-2.0
"""`sifgate explain`: the record behind the reference of a notice."""

from __future__ import annotations

import argparse
import os
import re

from sifgate.audit.query import Found
from sifgate.audit.record import AuditRecord
from sifgate.cli.conversation import Explanation, add_format, client, decode, print_json
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.errors import ConfigError, Unresolved

EPILOG = """\
examples:
  sifgate explain 7QX4-19
  sifgate explain --last          your newest launch on this node, where its notice could not be shown

Users see their own records; root and the audit group see all.
exit codes: 0 found, 2 usage or configuration, 3 not found or no agent
"""
_REFERENCE = re.compile(r"[0-9A-Za-z]{4}-[0-9A-Za-z]{2}|[0-9a-f]{26}")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "explain",
        help="show the audit record behind the reference of a notice",
        description="Show why a launch was allowed, warned or refused, from its audit record.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "reference", metavar="REF", nargs="?", default="", help="the `ref` of the notice, such as 7QX4-19"
    )
    which.add_argument("--last", action="store_true", help="your newest record on this node")
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Print the record; errors for one that is not there."""
    record = _newest(places) if arguments.last else _referred(arguments.reference.strip(), places)
    if arguments.format == "json":
        print_json(record)
    else:
        from sifgate.render.decisions import explanation

        print(explanation(record))
    return ALLOWED


def _newest(places: Places) -> AuditRecord:
    """Return the newest record of who asks."""
    body = client(places).query("audit", [("uid", str(os.getuid()).encode()), ("limit", b"1")])
    found = decode(body, Found, "audit").records
    if not found:
        raise Unresolved("no launch of yours is in the record of this node")
    return found[0]


def _referred(reference: str, places: Places) -> AuditRecord:
    """Return the record behind a reference."""
    if not _REFERENCE.fullmatch(reference):
        raise ConfigError(
            f"{reference}: not a reference (expected something like 7QX4-19)",
            hint="it stands on the notice, after `ref`",
        )
    body = client(places).query("explain", [("reference", reference.encode())])
    return decode(body, Explanation, "explain").record
