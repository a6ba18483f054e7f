# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy simulate`: what a candidate policy would have stopped among the launches that were recorded."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.main import ALLOWED, REFUSED, UNDECIDED
from sifgate.cli.policy_files import candidate_policy, in_force, present_policy
from sifgate.cli.recordings import Recordings, add_recordings
from sifgate.config import Places
from sifgate.whatif.counts import Counts, Facts, counts_of
from sifgate.whatif.simulate import Question
from sifgate.whatif.workers import Progress

EPILOG = """\
examples:
  sifgate policy simulate ./policy.yaml                          launches of this node, last 30 days, judged as of now
  sifgate policy simulate                                        the policy in force, beside what happened
  sifgate policy simulate --site --since 90d ./policy.yaml       launches of all nodes, from the server
  sifgate policy simulate --at 2026-12-01 ./policy.yaml          on that day: promotions, graces, expiries
  sifgate policy simulate --enforce ./policy.yaml                as if its mode were enforce
  sifgate policy simulate --reports reports/ ./policy.yaml       over documents of `sifgate scan --format json`

exit codes: 0 nothing would newly be refused, 1 some launches would, 2 usage or configuration,
            3 nothing would as far as can be told, but some launches could not be judged
"""


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = tasks.add_parser(
        "simulate",
        help="say what a policy would have stopped among recorded launches",
        description="Judge recorded launches by a candidate policy, and compare with the present one and with what"
        " happened.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file",
        nargs="?",
        default="",
        metavar="FILE",
        help="the candidate, a file or preset (default: the one in force)",
    )
    parser.add_argument(
        "--against",
        metavar="FILE",
        default="",
        help="compare with this policy, or `none` (default: the one in force)",
    )
    add_recordings(parser)
    parser.add_argument(
        "--at",
        type=at,
        default="now",
        metavar="WHEN",
        help="judge as of this date or time, or `then`: each launch at its own time (default: now)",
    )
    parser.add_argument("--enforce", action="store_true", help="count what mode enforce would do")
    parser.add_argument(
        "--images", type=int, default=20, metavar="N", help="show N affected images (default: %(default)s)"
    )
    add_format(parser)


def at(text: str) -> str:
    """Return `now`, `then` or the ISO time (UTC) of a date or time; raises ArgumentTypeError."""
    if text in ("now", "then"):
        return text
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither now, then nor an ISO date or time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).isoformat()


def moment_of(word: str) -> datetime | None:
    """Return the moment that a checked `--at` means; None for `then`."""
    if word == "then":
        return None
    return datetime.now(timezone.utc) if word == "now" else datetime.fromisoformat(word)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Simulate, print; the exit code says whether launches would newly be refused."""
    moment = moment_of(arguments.at)
    candidate = candidate_policy(Path(arguments.file) if arguments.file else in_force(places))
    against = arguments.against if arguments.file else arguments.against or "none"
    question = Question(
        candidate=candidate,
        present=present_policy(against, places),
        at=moment,
        capped=not arguments.enforce,
    )
    recordings = Recordings(arguments, places)
    with counting(recordings.what) as progress:
        tally = recordings.simulate(question, progress)
    for problem in recordings.problems:
        print(f"sifgate: {problem}", file=sys.stderr)
    facts = Facts(
        candidate=question.candidate.digest,
        present=question.present.digest if question.present else "",
        at=moment.isoformat().replace("+00:00", "Z") if moment else "",
        since=recordings.since,
        first=recordings.intake.first,
        last=recordings.intake.last,
        unreadable=recordings.unreadable,
        capped=question.capped,
    )
    counts = counts_of(tally, facts, images=arguments.images)
    if arguments.format == "json":
        print_json(counts)
    else:
        from sifgate.render.whatif import print_counts

        print_counts(counts, sys.stdout)
    return code(counts)


def code(counts: Counts) -> int:
    """Return the exit code: what could not be judged is never taken for allowed."""
    if counts.newly_refused.launches:
        return REFUSED
    return UNDECIDED if counts.unjudged or counts.unreadable or not counts.judged.launches else ALLOWED


@contextmanager
def counting(what: str) -> Iterator[Progress]:
    """Show on a terminal's stderr how many launches are read and judged; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _step, _count: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what)) as status:
        yield lambda step, count: status.update(Text(f"{what}: {count:,} launches {step}"))
