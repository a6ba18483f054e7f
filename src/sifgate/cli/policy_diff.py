# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy diff`: what is not the same in two policies, and how many recorded launches fare differently."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.main import ALLOWED, REFUSED
from sifgate.cli.policy_files import candidate_policy
from sifgate.cli.policy_simulate import at, counting, moment_of
from sifgate.cli.recordings import Recordings, add_recordings
from sifgate.config import Places
from sifgate.policy.document import Policy
from sifgate.render.escape import printable
from sifgate.whatif.counts import Counts, Facts, counts_of
from sifgate.whatif.diff import differences
from sifgate.whatif.simulate import Question

EPILOG = """\
examples:
  sifgate policy diff /etc/sifgate/policy.yaml candidate.yaml               what changed, in words
  sifgate policy diff --launches old.yaml new.yaml                          and how launches of this node would fare
  sifgate policy diff --launches --site --at 2026-12-01 old.yaml new.yaml

exit codes: 0 they say the same, 1 they differ, 2 usage or configuration
"""


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = tasks.add_parser(
        "diff",
        help="say in words what changed between two policies",
        description="Say in words what changed between two policies, exceptions and VEX included.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="a policy file")
    parser.add_argument("new", type=Path, metavar="NEW", help="a policy file")
    parser.add_argument(
        "--launches", action="store_true", help="also count recorded launches that fare differently"
    )
    add_recordings(parser)
    parser.add_argument(
        "--at", type=at, default="now", metavar="WHEN", help="judge as of this date (default: now)"
    )
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Compare, print, return 0 or 1."""
    old, new = candidate_policy(arguments.old), candidate_policy(arguments.new)
    found = differences(old, new)
    counts = _counts(arguments, places, old, new) if arguments.launches else None
    if arguments.format == "json":
        print_json(
            {"schema": 1, "old": old.digest, "new": new.digest, "differences": found, "launches": counts}
        )
    else:
        for each in found:
            print(printable(f"{each.kind:<8} {each.what}" + (f": {each.text}" if each.text else "")))
        if not found:
            print("the policies say the same")
        if counts is not None:
            _show(counts)
    return REFUSED if found else ALLOWED


def _counts(arguments: argparse.Namespace, places: Places, old: Policy, new: Policy) -> Counts:
    """Return how recorded launches fare under the new policy, compared with the old one."""
    moment = moment_of(arguments.at)
    recordings = Recordings(arguments, places)
    with counting(recordings.what) as progress:
        tally = recordings.simulate(Question(new, old, moment), progress)
    for problem in recordings.problems:
        print(f"sifgate: {problem}", file=sys.stderr)
    facts = Facts(
        candidate=new.digest,
        present=old.digest,
        at=moment.isoformat().replace("+00:00", "Z") if moment else "",
        since=recordings.since,
        first=recordings.intake.first,
        last=recordings.intake.last,
        unreadable=recordings.unreadable,
        capped=True,
    )
    return counts_of(tally, facts, images=0)


def _show(counts: Counts) -> None:
    from sifgate.render.whatif import print_changes, sentences

    print()
    print_changes(counts, sys.stdout)
    for sentence in sentences(counts):
        print(printable(sentence))
