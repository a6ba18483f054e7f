# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy baseline`: what runs today and would be refused, as dated exceptions to review and install."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import tempfile
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import msgspec

from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.main import ALLOWED, REFUSED, UNDECIDED
from sifgate.cli.policy_files import in_force, named_policy
from sifgate.cli.policy_simulate import at, counting, moment_of
from sifgate.cli.recordings import Recordings, add_recordings
from sifgate.config import Places
from sifgate.errors import ConfigError
from sifgate.policy.exceptions.write import rendered
from sifgate.policy.load import policy_of, policy_sources
from sifgate.policy.sources import PolicySources, Role, SourceFile
from sifgate.render.escape import printable
from sifgate.whatif.baseline import Baseline, violations_of
from sifgate.whatif.baseline_file import Terms, entries, files

EPILOG = """\
examples:
  sifgate policy baseline --ttl 90d ./policy.yaml                  from this node's launches of the last 30 days
  sifgate policy baseline --site --ttl 60d --ticket SEC-7 --approved-by bob ./policy.yaml
  sifgate policy baseline --at 2026-12-01 ./policy.yaml            what the policy refuses from then on
  sifgate policy baseline --reports reports/ --output base.yaml ./policy.yaml

Nothing is installed: review the file, then put it into the policy's directory of exceptions.
exit codes: 0 with these exceptions nothing is refused, 1 some launches still are, 2 usage or configuration,
            3 some launches could not be judged
"""
DEFAULT_TTL = 90


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = tasks.add_parser(
        "baseline",
        help="write dated exceptions for what runs today and would be refused",
        description="Write dated exceptions, as narrow as can be, for what recorded launches contain and the policy"
        " would refuse in mode enforce.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: the policy in force")
    add_recordings(parser)
    parser.add_argument(
        "--ttl",
        type=_days,
        default=DEFAULT_TTL,
        metavar="DAYS",
        help="how long they hold, as 90d (default: 90d)",
    )
    parser.add_argument(
        "--at", type=at, default="now", metavar="WHEN", help="judge as of this date (default: now)"
    )
    parser.add_argument(
        "--anywhere", action="store_true", help="bind to package and vulnerability only, in whatever image"
    )
    parser.add_argument("--author", default="", metavar="NAME", help="who answers for them (default: you)")
    parser.add_argument("--approved-by", default="", metavar="NAME", help="who has approved them")
    parser.add_argument("--ticket", default="", metavar="TEXT", help="where it is discussed")
    parser.add_argument(
        "--output", type=Path, default=Path("baseline.yaml"), metavar="FILE", help="default: ./%(default)s"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    add_format(parser)


def _days(text: str) -> int:
    number = text.removesuffix("d")
    if not number.isdecimal() or not 0 < int(number) <= 3660:  # noqa: PLR2004 - ten years
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days such as 90d")
    return int(number)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Find, verify, write, say what is left."""
    output: Path = arguments.output
    if output.exists() and not arguments.force:
        raise ConfigError(f"{output}: already there", hint="--force replaces it, --output names another file")
    sources = _without(policy_sources(named_policy(arguments.file or in_force(places))), output)
    policy = policy_of(sources)
    now = moment_of(arguments.at) or datetime.now(timezone.utc)
    terms = _terms(arguments, policy.exception_settings.limits.max_days, now)
    recordings = Recordings(arguments, places)
    with counting(recordings.what) as progress, recordings.ordered(progress) as (rows, verdicts):
        found = violations_of(
            policy, rows(), verdicts, now, anywhere=arguments.anywhere, progress=lambda _count: None
        )
        contents = [rendered(part) for part in files(entries(found, terms))]
        paths = _paths(output, len(contents))
        after = policy_of(_joined(sources, paths, contents))  # the site's limits speak here
        left = violations_of(
            after, rows(), verdicts, now, anywhere=arguments.anywhere, progress=lambda _count: None
        )
    _write(paths, contents, force=arguments.force)
    _show(arguments, paths, found, left, len(after.exceptions) - len(policy.exceptions))
    if left.refused:
        return REFUSED
    return UNDECIDED if found.unjudged or recordings.unreadable or not found.launches else ALLOWED


def _terms(arguments: argparse.Namespace, cap: int, now: datetime) -> Terms:
    """Return what all exceptions share; raises ConfigError where they would be over before they are needed."""
    today = datetime.now(timezone.utc).date()
    days = min(arguments.ttl, cap) if cap else arguments.ttl
    expires = today + timedelta(days=days)
    if expires < now.date():
        raise ConfigError(
            f"exceptions that end on {expires} say nothing of {now.date()}",
            hint=f"the policy allows {cap} days at most" if cap else "give a longer --ttl",
        )
    return Terms(
        author=arguments.author or getpass.getuser(),
        created=today,
        expires=expires,
        prefix=f"baseline-{_stamp(today)}",
        approved_by=arguments.approved_by,
        ticket=arguments.ticket,
    )


def _stamp(day: date) -> str:
    return day.isoformat().replace("-", "")


def _paths(output: Path, number: int) -> list[Path]:
    """Return the names of so many files: `baseline.yaml`, `baseline-2.yaml`, ."""
    more = [output.with_name(f"{output.stem}-{count}{output.suffix}") for count in range(2, number + 1)]
    return [output, *more]


def _without(sources: PolicySources, output: Path) -> PolicySources:
    """Return the sources without an earlier baseline of the same name, which this one replaces."""
    earlier = re.compile(rf"{re.escape(output.stem)}(-[0-9]+)?{re.escape(output.suffix)}")
    directory = output.parent.resolve()
    kept = tuple(
        file
        for file in sources.files
        if file.role is not Role.EXCEPTION
        or Path(file.path).parent.resolve() != directory
        or not earlier.fullmatch(Path(file.path).name)
    )
    return msgspec.structs.replace(sources, files=kept)


def _joined(sources: PolicySources, paths: list[Path], contents: list[bytes]) -> PolicySources:
    """Return the sources with the new files of exceptions."""
    new = tuple(
        SourceFile(str(path), Role.EXCEPTION, content) for path, content in zip(paths, contents, strict=False)
    )
    return msgspec.structs.replace(sources, files=(*sources.files, *new))


def _write(paths: list[Path], contents: list[bytes], *, force: bool) -> None:
    """Put each file in place whole or not at all; raises ConfigError."""
    if not contents:
        return
    if not force and (there := [str(path) for path in paths if path.exists()]):
        raise ConfigError(
            f"{', '.join(there)}: already there", hint="--force replaces it, --output names another"
        )
    temporary: list[Path] = []
    try:
        for path, content in zip(paths, contents, strict=True):
            descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
            temporary.append(Path(name))
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
        for new, path in zip(temporary, paths, strict=True):
            new.replace(path)
    except OSError as error:
        raise ConfigError(f"{error.filename or paths[0]}: {error.strerror}") from error
    finally:
        for new in temporary:
            new.unlink(missing_ok=True)


def _show(
    arguments: argparse.Namespace, paths: list[Path], found: Baseline, left: Baseline, number: int
) -> None:
    written = [str(path) for path in paths] if number else []
    if arguments.format == "json":
        print_json(
            {
                "schema": 1,
                "files": written,
                "exceptions": number,
                "launches": found.launches,
                "refused_before": found.refused,
                "refused_after": left.refused,
                "beyond": dict(left.beyond),
                "unjudged": dict(found.unjudged),
            }
        )
        return
    print(
        f"{found.launches} launches judged, {found.refused} would be refused; {number} exceptions for these"
    )
    if written:
        print(
            f"written: {printable(', '.join(written))}; review, then install it in the directory of exceptions"
        )
    print(f"with these exceptions {left.refused} would still be refused")
    for rule, count in left.beyond.items():
        print(f"  {count} launches by {printable(rule)}, which no exception of findings can cover")
    for why, count in found.unjudged.items():
        print(f"NOT JUDGED: {count} launches: {why}")
