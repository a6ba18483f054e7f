# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy lint`: what is valid in a policy and yet does not do what it is there for."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from sifgate.audit.files import history, lines
from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.main import ALLOWED, REFUSED
from sifgate.cli.policy_files import in_force, named_policy
from sifgate.cli.policy_simulate import at, moment_of
from sifgate.config import Places
from sifgate.policy.load import load_with_sources
from sifgate.render.escape import printable
from sifgate.whatif.lint.complaint import Complaint, Weight
from sifgate.whatif.lint.run import lint

EPILOG = """\
examples:
  sifgate policy lint                          the policy in force, its exceptions and VEX documents
  sifgate policy lint ./policy.yaml
  sifgate policy lint --used                   also: exceptions that no recorded launch of this node has used
  sifgate policy lint --at 2026-12-24          what will have expired by then

exit codes: 0 nothing, or nothing but `info`, 1 warnings or errors, 2 usage, or a policy that is not valid
"""


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = tasks.add_parser(
        "lint",
        help="find rules, scopes, exceptions and VEX that do nothing, or soon will",
        description="Find what is valid and yet does nothing: shadowed rules, scopes that never match, exceptions that"
        " expire, VEX documents that nobody trusts.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: the policy in force")
    parser.add_argument(
        "--used", action="store_true", help="look for unused exceptions in this node's audit log"
    )
    parser.add_argument("--at", type=at, default="now", metavar="WHEN", help="as of this date (default: now)")
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Check, print, return 0 or 1."""
    path = named_policy(arguments.file or in_force(places))
    sources, policy = load_with_sources(path)
    used = _used(places.log / "audit.jsonl") if arguments.used else None
    now = moment_of(arguments.at) or datetime.now(timezone.utc)
    found = lint(policy, sources, now, used)
    if arguments.format == "json":
        print_json(
            {"schema": 1, "file": str(path), "policy": policy.digest, "found": list(map(_document, found))}
        )
    else:
        for complaint in found:
            where = f"{complaint.place}: {complaint.weight.word}: {complaint.text} [{complaint.check}]"
            print(f"{printable(where)}\n  remedy: {printable(complaint.remedy)}")
        print(f"{path}: {_sum(found)}")
    return REFUSED if any(each.weight > Weight.INFO for each in found) else ALLOWED


def _sum(found: list[Complaint]) -> str:
    if not found:
        return "nothing to complain of"
    numbers = (
        (weight, sum(each.weight is weight for each in found)) for weight in sorted(Weight, reverse=True)
    )
    return ", ".join(f"{number} {weight.word}" for weight, number in numbers if number)


def _document(complaint: Complaint) -> dict[str, object]:
    return {**msgspec.structs.asdict(complaint), "weight": complaint.weight.word}


class _Aside(msgspec.Struct, frozen=True):
    kind: str
    id: str


class _Line(msgspec.Struct, frozen=True):
    """What matters here of a record."""

    aside: tuple[_Aside, ...] = ()


def _used(log: Path) -> frozenset[str]:
    """Return the ids of exceptions that records name; raises AuditError where the log cannot be read."""
    used: set[str] = set()
    decode = msgspec.json.Decoder(_Line).decode
    for file in history(log):
        for _, line in lines(file):
            if b'"exception"' not in line:
                continue
            try:
                record = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            used.update(aside.id for aside in record.aside if aside.kind == "exception")
    return frozenset(used)
