# SPDX-License-Identifier: Apache-2.0
"""`sifgate enable`: puts back the doors that `sifgate disable` took away, as they were installed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sifgate.cli.doors import add_tree, checked, need_root, parsed, plain, say
from sifgate.cli.main import ALLOWED, USAGE, describe
from sifgate.config import Places
from sifgate.doors.memory import Memory
from sifgate.doors.table import find, named
from sifgate.errors import ConfigError, SifgateError

EPILOG = """\
examples:
  sifgate enable             every door that `sifgate disable` took away
  sifgate enable wrapper     this one

exit codes: 0 done, 2 a door could not be put back (the others were)
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "enable",
        help="put back the doors that `sifgate disable` took away",
        description="Put back all or the named doors that `sifgate disable` took away.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("doors", nargs="*", metavar="DOOR", help="default: all that were taken away")
    add_tree(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Put back what was there."""
    del places
    tree = checked(arguments.tree)
    chosen = list(named(arguments.doors))
    need_root(tree, "enable")
    with plain("enable"):
        taken = Memory(tree).disabled()
    strangers = [name for name in arguments.doors if name not in taken]
    if strangers:
        raise ConfigError(f"{', '.join(strangers)}: was not disabled", hint=f"sifgate {strangers[0]} install")
    failed = False
    for name in chosen:
        if name not in taken:
            continue
        try:
            say(_put_back(name, tree) or [f"{name}: enabled; it lay as it should"])
        except SifgateError as error:
            failed = True
            print(describe(error), file=sys.stderr)
    if not taken:
        say(["nothing was to do: no door is disabled"])
    return USAGE if failed else ALLOWED


def _put_back(name: str, tree: Path) -> list[str]:
    """Return what was done to one door; it counts as disabled until all its places have it again."""
    door = find(name)
    memory = Memory(tree)
    lines: list[str] = []
    with plain(name):
        for words in memory.options(name) or [[]]:
            lines += door.install(tree, parsed(door, words))
        memory.enabled(name)
    return lines
