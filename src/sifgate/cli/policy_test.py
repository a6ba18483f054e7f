# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy test`: cases that a site writes beside its policy: image, launch, date, expected decision."""

from __future__ import annotations

import argparse
from pathlib import Path

from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.main import ALLOWED, REFUSED
from sifgate.cli.policy_files import candidate_policy
from sifgate.config import Places
from sifgate.errors import ConfigError
from sifgate.render.escape import printable
from sifgate.whatif.cases import Outcome, judged, read_tables

EPILOG = """\
examples:
  sifgate policy test cases/                                   every *.yaml of a directory
  sifgate policy test --policy ./policy.yaml cases/kev.yaml    by this policy in place of the one the table names
  sifgate policy test --junit results.xml cases/

exit codes: 0 every case came out as expected, 1 some did not, 2 usage, or a table or policy that cannot be read
"""


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = tasks.add_parser(
        "test",
        help="judge written cases, and say which do not come out as expected",
        description="Judge tables of cases (docs/whatif.md), and say which do not come out as expected.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|DIR", help="tables of cases")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="judge by this policy")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the outcomes as JUnit XML, too")
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Judge, print, return 0 or 1."""
    del places
    policy = candidate_policy(arguments.policy) if arguments.policy else None
    tables = [
        (table.path, [judged(table.policy, case) for case in table.cases])
        for table in read_tables(arguments.paths, policy)
    ]
    if arguments.junit:
        from sifgate.render.junit import junit

        _write(arguments.junit, junit(tables))
    failed = [outcome for _, outcomes in tables for outcome in outcomes if outcome.differences]
    number = sum(len(outcomes) for _, outcomes in tables)
    if arguments.format == "json":
        print_json({"schema": 1, "cases": number, "failed": list(map(_document, failed))})
    else:
        _show(number, failed)
    return REFUSED if failed else ALLOWED


def _show(number: int, failed: list[Outcome]) -> None:
    for outcome in failed:
        print(f"{printable(outcome.case.place)}: {printable(outcome.case.name)}")
        for difference in outcome.differences:
            print(f"  {printable(difference)}")
    print(f"{number} cases: {number - len(failed)} as expected, {len(failed)} not")


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "place": outcome.case.place,
        "name": outcome.case.name,
        "differences": list(outcome.differences),
    }


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
