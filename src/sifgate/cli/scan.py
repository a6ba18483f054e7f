# SPDX-License-Identifier: Apache-2.0
"""`sifgate scan`: everything that is known of an image."""

from __future__ import annotations

import argparse
import sys

import msgspec

from sifgate.cli.conversation import add_format, add_wait, client, decode, image_fields, print_json, progress
from sifgate.cli.main import ALLOWED, UNDECIDED
from sifgate.config import Places
from sifgate.model.decision import Decision
from sifgate.model.verdict import Standing

EPILOG = """\
examples:
  sifgate scan sci.sif
  sifgate scan --format json sci.sif | jq '.findings[] | select(.kev)'

exit codes: 0 the image was scanned (whatever was found), 2 usage or configuration, 3 it could not be scanned
"""


class ScanAnswer(msgspec.Struct, frozen=True):
    """What the agent answers to `scan` (docs/protocol.md §1)."""

    standing: Standing
    decision: Decision
    """What the policy says of a launch of it by this user, now."""
    suppressed: tuple[int, ...] = ()
    """Indices of the verdict's findings that the policy lists but does not count."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "scan",
        help="list every vulnerability that is known in an image",
        description="List every vulnerability that is known in an image; scan it if nothing is known.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", metavar="IMAGE", help="SIF, squashfs or sandbox directory")
    add_wait(parser)
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Print the report; return 0 if there is a verdict, 3 if not."""
    fields = [*image_fields(arguments.image), ("deadline_ms", b"%d" % (arguments.wait * 1000))]
    with progress(f"scanning {arguments.image}") as wait:
        body = client(places).query("scan", fields, deadline=arguments.wait, wait=wait)
    answer = decode(body, ScanAnswer, "scan")
    if arguments.format == "json":
        from sifgate.render.documents import scan_document

        print_json(scan_document(arguments.image, answer.standing, answer.suppressed, answer.decision))
    else:
        from sifgate.render.table import print_report

        print_report(arguments.image, answer.standing, answer.suppressed, sys.stdout)
    return ALLOWED if answer.standing.verdict is not None else UNDECIDED
