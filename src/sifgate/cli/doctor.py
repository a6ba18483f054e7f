# SPDX-License-Identifier: Apache-2.0
"""`sifgate doctor`: looks at each door and all that it needs; one line each, with the remedy for what is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from sifgate.cli.conversation import add_format, choose, print_json
from sifgate.cli.doors import add_tree, checked
from sifgate.config import Places
from sifgate.doctor import agent, doors, files, judging, server
from sifgate.doctor.finding import Finding, Health, Look, safely
from sifgate.render.table import Column, print_table

ALL_FINE = 0
SICK = 1
CANNOT_LOOK = 3
EPILOG = """\
examples:
  sifgate doctor                     as root; a user sees less
  sifgate doctor --format json       for a monitoring system

exit codes: 0 all is fine, 1 something is wrong, 3 something could not be looked at
"""
COLUMNS = (Column("what"), Column("state"), Column("detail", fold=True), Column("remedy", fold=True))


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="look at each door and all that it needs, with the remedy for what is wrong",
        description="Look at each door of this node and all that it needs. Changes nothing, and needs no agent.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_format(parser)
    add_tree(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Look, print, return 0, 1 or 3."""
    found = list(look(seen_from_here(places), checked(arguments.tree)))
    code = verdict(found)
    if arguments.format == "json":
        print_json({"fine": code == ALL_FINE, "findings": found})
    else:
        rows = [(each.subject, each.health.value, each.detail, each.remedy) for each in found]
        print_table(COLUMNS, rows, sys.stdout)
    return code


def seen_from_here(places: Places) -> Places:
    """Return the places to look at: the machine's, for a user who runs no agent of his own."""
    machine = Places.of_system()
    own = places.run / "agent.sock"
    if os.geteuid() == 0 or places != Places.here() or choose(own, machine.run / "agent.sock") == own:
        return places
    return machine


def look(places: Places, tree: Path) -> Iterator[Finding]:
    """Yield all findings, from the doors down to the disk."""
    socket = places.run / "agent.sock"
    answer = agent.ask(socket)
    sides: list[tuple[str, Look]] = [
        ("doors", partial(doors.look, tree, socket)),
        ("agent", partial(agent.life, answer)),
        ("socket", partial(files.socket, places)),
        ("permissions", partial(files.permissions, places)),
        ("settings", partial(judging.settings, places)),
        ("policy", partial(judging.policy, places, answer.status)),
        ("sandbox", judging.sandbox),
        ("server", partial(server.look, places, answer.status, datetime.now(timezone.utc))),
        ("audit log", partial(agent.audit, answer)),
        ("disk", partial(files.disk, places)),
    ]
    for subject, side in sides:
        yield from safely(subject, side)


def verdict(found: list[Finding]) -> int:
    """Return the exit code: a problem weighs more than what could not be seen."""
    health = {each.health for each in found}
    if Health.PROBLEM in health:
        return SICK
    return CANNOT_LOOK if Health.UNSEEN in health else ALL_FINE
