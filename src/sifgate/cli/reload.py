# SPDX-License-Identifier: Apache-2.0
"""`sifgate reload`: the agent reads policy and settings anew, and says whether they are in force."""

from __future__ import annotations

import argparse

from sifgate.cli.conversation import add_format, client, decode, print_json
from sifgate.cli.policy import Reloaded
from sifgate.config import Places

DONE = 0
KEPT = 2
"""What the administrator wrote cannot be used: the last good policy stays in force."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's parser."""
    parser = subparsers.add_parser(
        "reload",
        help="have the agent read policy and settings anew",
        description="Have the running agent read policy and settings anew, as `systemctl reload` does,"
        " and wait for what comes of it.",
        epilog="exit codes: 0 in force, 2 not valid: the last good policy stays, 3 no agent answers",
    )
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Ask the agent to reload; return 0 if what it read is in force, else 2. Raises SifgateError without an agent."""
    answer = decode(client(places).query("reload"), Reloaded, "reload")
    if arguments.format == "json":
        print_json({"policy": answer.policy, "problem": answer.problem})
    elif answer.problem:
        print(f"sifgate: kept the last good policy ({answer.policy}): {answer.problem}")
    else:
        print(f"sifgate: in force: {answer.policy}")
    return KEPT if answer.problem else DONE
