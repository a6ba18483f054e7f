# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy`: check a policy file, put it in force; the table of tasks that try one out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Protocol

import msgspec

from sifgate.cli import policy_baseline, policy_diff, policy_init, policy_lint, policy_simulate, policy_test
from sifgate.cli.conversation import add_format, client, decode, print_json
from sifgate.cli.install import install
from sifgate.cli.main import ALLOWED, USAGE, describe
from sifgate.cli.policy_files import in_force
from sifgate.config import Places
from sifgate.errors import ConfigError, PolicyError, SifgateError
from sifgate.policy.document import Policy
from sifgate.policy.load import load_policy

EPILOG = """\
examples:
  sifgate policy validate                   the policy in force
  sifgate policy validate ./policy.yaml     before it is installed
  sifgate policy install ./policy.yaml      validate, install, tell the agent
  sifgate policy simulate ./policy.yaml     what it would have stopped among recorded launches

exit codes: 0 valid, or done; 1 something was found (each task's --help says what);
            2 not valid, or usage; 3 could not tell
"""


class Task(Protocol):
    """What every module of a task offers."""

    def add(self, tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the task's parser."""

    def run(self, arguments: argparse.Namespace, places: Places) -> int:
        """Do it; return the exit code."""


TASKS: dict[str, Task] = {
    "init": policy_init,
    "lint": policy_lint,
    "test": policy_test,
    "simulate": policy_simulate,
    "diff": policy_diff,
    "baseline": policy_baseline,
}
"""Tasks with a module of their own, by name."""


class Reloaded(msgspec.Struct, frozen=True):
    """What the agent answers to `reload` (docs/protocol.md §1)."""

    problem: str = ""
    policy: str = ""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "policy",
        help="write, check, try and install a policy",
        description="Write, check and try a policy, or put it in force. docs/whatif.md has the page.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    validate = tasks.add_parser(
        "validate",
        help="say whether a policy can be loaded, and where its first error is",
        description="Say whether a policy can be loaded, and where its first error is.",
        epilog="example:\n  sifgate policy validate ./policy.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    validate.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: the policy in force")
    add_format(validate)
    put = tasks.add_parser(
        "install",
        help="validate a policy, install it atomically, write the posture file, tell the agent",
        description="Validate a policy, install it, write the posture file that shims obey without an"
        " agent, and tell a running agent.",
        epilog="example:\n  sifgate policy install ./policy.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    put.add_argument("file", type=Path, metavar="FILE", help="the policy to install")
    add_format(put)
    for module in TASKS.values():
        module.add(tasks)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Do the task; return its exit code."""
    if arguments.task in TASKS:
        return TASKS[arguments.task].run(arguments, places)
    return _install(arguments, places) if arguments.task == "install" else _validate(arguments, places)


def _validate(arguments: argparse.Namespace, places: Places) -> int:
    path = arguments.file or in_force(places)
    if not path.is_file():
        raise ConfigError(f"{path}: no such policy file", hint="`sifgate policy validate FILE` names one")
    try:
        policy = load_policy(path)
    except PolicyError as error:
        if arguments.format != "json":
            raise
        print_json({"valid": False, "file": str(path), "error": str(error), "hint": error.hint})
        return USAGE
    if arguments.format == "json":
        print_json({"valid": True, "file": str(path), **_facts(policy)})
    else:
        print(f"{path}: valid: {_words(policy)}")
    return ALLOWED


def _facts(policy: Policy) -> dict[str, object]:
    return {
        "digest": policy.digest,
        "mode": policy.stance.mode.value,
        "rules": len(policy.rules),
        "exceptions": len(policy.exceptions),
        "vex_statements": len(policy.vex),
    }


def _words(policy: Policy) -> str:
    beside = [
        f"{number} {what}"
        for number, what in ((len(policy.exceptions), "exceptions"), (len(policy.vex), "VEX statements"))
        if number
    ]
    return ", ".join(
        [f"mode {policy.stance.mode.value}, {len(policy.rules)} rules, {policy.digest}", *beside]
    )


def _install(arguments: argparse.Namespace, places: Places) -> int:
    policy = install(arguments.file, places)
    told = _tell_agent(places)
    path = places.etc / "policy.yaml"
    if arguments.format == "json":
        print_json({"installed": str(path), **_facts(policy), "agent": told})
    else:
        print(f"{path}: installed: {_words(policy)}\n{told}")
    return ALLOWED


def _tell_agent(places: Places) -> str:
    """Ask a running agent to reload; return a sentence that says what came of it."""
    try:
        answer = decode(client(places).query("reload"), Reloaded, "reload")
    except SifgateError as error:
        return f"the agent was not told: {describe(error).removeprefix('sifgate: ')}"
    return f"the agent kept its old policy: {answer.problem}" if answer.problem else "the agent has loaded it"
