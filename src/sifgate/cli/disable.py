# SPDX-License-Identifier: Apache-2.0
"""`sifgate disable`: takes doors away at once; needs no agent, no network, no settings, no policy."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sifgate.cli.doors import add_tree, checked, need_root, plain, say
from sifgate.cli.main import ALLOWED, USAGE, describe
from sifgate.config import Places
from sifgate.doors.memory import Memory
from sifgate.doors.table import MODULES, find, named
from sifgate.errors import SifgateError

EPILOG = """\
examples:
  sifgate disable                 all doors: launches go on as if sifgate had never been there
  sifgate disable spank guard     these
  sifgate enable                  puts back what was taken away

Agent and server go on; nobody asks them. Where Python itself is broken: /usr/libexec/sifgate/disable.
exit codes: 0 done, 2 a door could not be taken away (the others were)
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "disable",
        help="take the doors away, so that launches go on as if sifgate had never been there",
        description="Take all or the named doors away, and remember which were there.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("doors", nargs="*", metavar="DOOR", help=f"default: all ({', '.join(MODULES)})")
    add_tree(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Take away what is there; one door that resists keeps no other in place."""
    del places
    tree = checked(arguments.tree)
    names = list(named(arguments.doors))
    need_root(tree, "disable")
    failed = False
    taken = []
    for name in names:
        try:
            taken += _take(name, tree)
        except SifgateError as error:
            failed = True
            print(describe(error), file=sys.stderr)
    say(taken or ([] if failed else ["nothing was to do: no door is in place"]))
    return USAGE if failed else ALLOWED


def _take(name: str, tree: Path) -> list[str]:
    """Return what was done to one door; it is remembered first, so that a crash in between forgets nothing."""
    door = find(name)
    memory = Memory(tree)
    there = door.state(tree).present
    if there:
        _remember(memory, name)
    with plain(name):
        lines = door.remove(tree)
    if lines and not there:
        _remember(memory, name)
    return lines


def _remember(memory: Memory, name: str) -> None:
    """A full or read-only disk must not keep a door in place: what cannot be remembered is said instead."""
    try:
        memory.disable(name)
    except OSError as error:
        print(
            f"sifgate: {name}: cannot be remembered ({error.strerror}); `sifgate {name} install` puts it back",
            file=sys.stderr,
        )
