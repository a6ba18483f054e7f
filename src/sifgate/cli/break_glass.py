# SPDX-License-Identifier: Apache-2.0
"""`sifgate break-glass start|list|end`: while a grant holds, a user's launches are warned of in place of refused."""

from __future__ import annotations

import argparse
import re
import sys

import msgspec

from sifgate.cli.conversation import Fields, add_format, client, decode, print_json
from sifgate.config import Places
from sifgate.model.launch import Grant
from sifgate.render.escape import printable
from sifgate.render.table import Column, print_table

DONE = 0
_DURATION = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLUMNS = (
    Column("id"),
    Column("uid", right=True),
    Column("until"),
    Column("taken by"),
    Column("reason", fold=True),
)


class Changed(msgspec.Struct, frozen=True):
    """What the agent answers to `start` and `end` (docs/protocol.md §1)."""

    grant: Grant
    event: str
    reference: str = ""


class Listed(msgspec.Struct, frozen=True):
    """What the agent answers to `list`."""

    grants: tuple[Grant, ...] = ()


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's parser."""
    parser = subparsers.add_parser(
        "break-glass",
        help="let a user's refused launches pass for a while: recorded, and told to the site",
        description="Take a grant under which launches on this node that the policy refuses are warned of instead."
        " The policy's `break_glass` says whose groups may, and for how long; root may take one for anybody.",
        epilog="exit codes: 0 done, 2 usage or configuration, 3 not allowed, or no agent answers",
    )
    verbs = parser.add_subparsers(dest="do", required=True, metavar="VERB")
    start = verbs.add_parser("start", help="take a grant, which ends by itself")
    start.add_argument("--reason", required=True, metavar="TEXT", help="why: recorded, and told to the site")
    start.add_argument(
        "--duration",
        type=_seconds,
        metavar="2h",
        help="how long it holds: 90s, 30m, 2h (default: as long as the policy allows)",
    )
    start.add_argument(
        "--user", default="", metavar="NAME", help="for whom; only root may name somebody else"
    )
    add_format(start)
    listing = verbs.add_parser("list", help="show the grants in force")
    add_format(listing)
    end = verbs.add_parser("end", help="end a grant before its time")
    end.add_argument("id", metavar="ID", help="as `list` shows it")
    add_format(end)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Ask the agent of this node; return 0. Raises SifgateError where it says no or does not answer."""
    fields: Fields = [("do", arguments.do.encode())]
    if arguments.do == "start":
        fields += [
            ("reason", arguments.reason.encode("utf-8", "surrogateescape")),
            ("user", arguments.user.encode()),
        ]
        if arguments.duration is not None:
            fields.append(("seconds", str(arguments.duration).encode()))
    elif arguments.do == "end":
        fields.append(("id", arguments.id.encode("utf-8", "replace")))
    body = client(places).query("grant", fields)
    if arguments.format == "json":
        print_json(msgspec.json.decode(body))
    elif arguments.do == "list":
        _print_list(decode(body, Listed, "break-glass"))
    else:
        _print_change(decode(body, Changed, "break-glass"))
    return DONE


def _print_list(listed: Listed) -> None:
    if not listed.grants:
        print("no grant is in force")
        return
    rows = [(each.id, str(each.uid), each.ends, each.by, each.reason) for each in listed.grants]
    print_table(_COLUMNS, rows, sys.stdout)


def _print_change(changed: Changed) -> None:
    grant = changed.grant
    if changed.event == "ended":
        print(f"grant {printable(grant.id)} has ended ({printable(changed.reference)})")
        return
    print(
        f"grant {printable(grant.id)} for uid {grant.uid}, in force on this node until {printable(grant.ends)}"
    )
    print(
        f"recorded as {printable(changed.reference)}; end it with: sifgate break-glass end {printable(grant.id)}"
    )


def _seconds(text: str) -> int:
    parts = _DURATION.fullmatch(text)
    seconds = int(parts[1]) * _SECONDS[parts[2]] if parts else 0
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time such as 90s, 30m or 2h")
    return seconds
