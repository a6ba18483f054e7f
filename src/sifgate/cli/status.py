# SPDX-License-Identifier: Apache-2.0
"""`sifgate status`: each part's version and state, the advisories' number and age, sandbox, the agent's counters."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import msgspec

from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.doors import COLUMNS, HOST, row
from sifgate.config import Places
from sifgate.doors.door import DoorState
from sifgate.doors.table import MODULES, find
from sifgate.engine.health import Health, look
from sifgate.errors import ConfigError
from sifgate.render.escape import printable
from sifgate.render.table import Column, print_table

UP = 0
NOT_UP = 3


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's parser."""
    parser = subparsers.add_parser(
        "status",
        help="show each part's version, state and age of its data",
        description="Show parts, advisories, sandbox layers and the agent's counters.",
        epilog="exit codes: 0 everything is up, 2 usage or configuration, 3 not",
    )
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Print the state; return 0 when everything is up, else 3."""
    health = look(places, datetime.now(timezone.utc))
    doors = list(_doors())
    if arguments.format == "json":
        print_json({**msgspec.structs.asdict(health), "doors": doors})
    else:
        _print(health)
        _print_doors(doors)
    return UP if health.up else NOT_UP


def _print(health: Health) -> None:
    print(
        f"sifgate: {health.phase}" + (f" since {health.since:%Y-%m-%d %H:%M:%S} UTC" if health.since else "")
    )
    if health.message:
        print(f"  {printable(health.message)}")
    if health.parts and not health.enforcing:
        print("  started by a user, not by root: it judges, but it enforces nothing")
    if health.parts:
        _print_parts(health)
    if health.advisories:
        _print_advisories(health)
    print("\nsandbox of the image worker")
    print_table([Column("layer"), Column("state", fold=True)], sorted(health.sandbox.items()), sys.stdout)
    if health.agent is not None:
        print("\nagent")
        rows = [(key, printable(value)) for key, value in _flat(health.agent)]
        print_table([Column("counter"), Column("value", fold=True)], rows, sys.stdout)


def _doors() -> Iterator[DoorState]:
    """Yield how each door of this host lies; one that cannot be looked at is `sifgate doctor`'s to explain."""
    for name in MODULES:
        try:
            yield find(name).state(HOST)
        except ConfigError as error:
            yield DoorState(name, present=False, problem=str(error), remedy="sifgate doctor")


def _print_doors(doors: list[DoorState]) -> None:
    shown = [state for state in doors if state.present or state.problem]
    print(f"\ndoors of this host: {'none is in place' if not shown else ''}".rstrip())
    if shown:
        print_table(COLUMNS, [row(state) for state in shown], sys.stdout)


def _print_parts(health: Health) -> None:
    print()
    columns = [Column("part"), Column("state"), Column("version"), Column("pid", right=True),
               Column("restarts", right=True), Column("address"), Column("detail", fold=True)]  # fmt: skip
    rows = [
        (part.name, part.state, part.version, str(part.pid or ""), str(part.restarts or ""), part.address,
         printable(part.detail))
        for part in health.parts
    ]  # fmt: skip
    print_table(columns, rows, sys.stdout)


def _print_advisories(health: Health) -> None:
    print()
    columns = [
        Column("advisories"),
        Column("entries", right=True),
        Column("as of"),
        Column("age", right=True),
    ]
    rows = [
        (row.updater, f"{row.count:,}", f"{row.as_of:%Y-%m-%d}", f"{row.age_days:.0f} days")
        for row in health.advisories
    ]
    print_table(columns, rows, sys.stdout)


def _flat(value: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested mappings with dotted names."""
    for key, item in value.items():
        name = f"{above}{key}"
        if isinstance(item, dict):
            yield from _flat(item, f"{name}.")
        else:
            yield name, str(item)
