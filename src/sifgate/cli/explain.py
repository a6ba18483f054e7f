# SPDX-License-Identifier: Apache-2.0
"""`sifgate explain`: the record behind the reference of a notice."""

from __future__ import annotations

import argparse
import re

from sifgate.cli.conversation import Explanation, add_format, client, decode, print_json
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.errors import ConfigError

EPILOG = """\
example:
  sifgate explain 7QX4-19

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
    parser.add_argument("reference", metavar="REF", help="the `ref` of the notice, such as 7QX4-19")
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Print the record; errors for one that is not there."""
    reference = arguments.reference.strip()
    if not _REFERENCE.fullmatch(reference):
        raise ConfigError(
            f"{reference}: not a reference (expected something like 7QX4-19)",
            hint="it stands on the notice, after `ref`",
        )
    body = client(places).query("explain", [("reference", reference.encode())])
    found = decode(body, Explanation, "explain")
    if arguments.format == "json":
        print_json(found.record)
    else:
        from sifgate.render.decisions import explanation

        print(explanation(found.record))
    return ALLOWED
