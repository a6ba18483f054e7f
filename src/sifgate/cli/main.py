# SPDX-License-Identifier: Apache-2.0
"""The command line: the table of verbs, and the one place where errors become text and an exit code.

Exit codes: 0 allowed (or done), 1 refused, 2 usage or configuration, 3 could not decide. A verb that is not
asked for is not imported: completion of the base install must not need the engine's libraries.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import traceback
from importlib import metadata
from typing import NamedTuple, Protocol

from sifgate.config import Places
from sifgate.errors import ConfigError, PolicyError, SifgateError
from sifgate.render.escape import printable

ALLOWED = 0
REFUSED = 1
USAGE = 2
UNDECIDED = 3
INTERRUPTED = 128 + signal.SIGINT
BROKEN_PIPE = 128 + signal.SIGPIPE


class Verb(NamedTuple):
    """One word of the command line and the module that owns it."""

    name: str
    help: str
    extra: str = ""
    """The optional part of the installation that the verb needs; empty: none."""
    door: bool = False
    """Whether the word is a door, whose verb `sifgate.cli.doors` makes."""


VERBS = (
    Verb("check", "ask whether an image would be allowed to start, as a launch would"),
    Verb("scan", "list every vulnerability that is known in an image"),
    Verb("explain", "show the audit record behind the reference of a notice"),
    Verb("policy", "check a policy file, or install it"),
    Verb("exceptions", "list dated exceptions from the policy, write one, end one"),
    Verb("vex", "list what VEX documents say, write one"),
    Verb("reload", "have the agent read policy and settings anew"),
    Verb("break-glass", "let a user's refused launches pass for a while: recorded, and told to the site"),
    Verb("audit", "follow, search, verify, replay or export the record of decisions"),
    Verb("up", "start engine, server and agent on this machine", extra="engine"),
    Verb("down", "stop what `sifgate up` started", extra="engine"),
    Verb("status", "show each part's version, state and age of its data"),
    Verb("spank", "steps of Slurm, and what srun, sbatch and salloc say at submission", door=True),
    Verb("submit", "jobs of Slurm as they are submitted: told what their launch would meet", door=True),
    Verb("prolog", "jobs of Slurm: the image they declared is scanned before their first step", door=True),
    Verb("wrapper", "launches of Apptainer and SingularityCE, however they are started", door=True),
    Verb("apptainer-plugin", "launches of an Apptainer built from source, in its starter", door=True),
    Verb("oci-hook", "containers of Podman, Buildah, crun and runc, and of Slurm's --container", door=True),
    Verb("enroot-hook", "containers of Enroot, and so of Pyxis", door=True),
    Verb("guard", "container starts that no other door sees, by the kernel's word", door=True),
    Verb("doctor", "look at each door and all that it needs, with the remedy for what is wrong"),
    Verb("disable", "take the doors away, so that launches go on as if sifgate had never been there"),
    Verb("enable", "put back the doors that `sifgate disable` took away"),
    Verb("completion", "print a completion script for a shell"),
)

EPILOG = """\
exit codes:
  0  allowed (or done)
  1  refused
  2  usage or configuration
  3  could not decide

examples:
  sifgate check /scratch/alice/sci.sif
  sifgate scan --format json sci.sif
  sifgate explain 7QX4-19
"""


HINTS = {
    "config": "`sifgate VERB --help` shows the usage",
    "unsafe_file": "only its owner may be able to change this file and every directory above it: chmod go-w, chown",
    "policy_invalid": "`sifgate policy validate FILE` shows the first error; docs/policy.md has the keys",
    "image": "`sifgate scan IMAGE` says what is known of the image",
    "unresolved": "name a SIF file, a squashfs image or a sandbox directory that you can read",
    "unscannable": "docs/operations.md explains each cause",
    "scanner": "`sifgate status` shows Clair's state",
    "clair_unavailable": "`sifgate status` shows Clair's state; the image was not judged",
    "failed": "Clair fails on this image each time; the server's log says why",
    "head_refused": "the server knows another history of this log: `sifgate audit verify --site` says from where",
    "server_unreachable": "`sifgate status` shows which server the agent uses and what it last said",
    "agent_unreachable": "is the agent running? `sifgate status` tells, `sifgate up` starts one on this machine",
    "protocol": "agent and command line may be of different versions: restart the agent",
    "engine": "`sifgate status` shows each part; its log is in the log directory of docs/operations.md",
    "store": "`sifgate status` shows the database's state",
    "audit_unwritable": "free space on the file system of audit.jsonl, then look at `sifgate status`",
    "not_found": "a record lies on the node that made the decision; others' records need root or the audit group",
    "forbidden": "root may do this",
    "timeout": "ask again with a longer --wait",
    "busy": "the agent bounds what one user may ask at a time: try again in a moment",
    "agent_refused": "`sifgate status` shows the agent's state",
    "error": "--verbose shows where this comes from",
}
"""What to do next, by the error's stable code, where the error itself does not know better."""


class Module(Protocol):
    """What every module `sifgate.cli.<verb>` offers."""

    def register(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Add the verb's parser."""

    def run(self, arguments: argparse.Namespace, places: Places) -> int:
        """Do it; return the exit code."""


def build_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with `wanted`'s arguments filled in, all verbs' with None."""
    parser = argparse.ArgumentParser(
        prog="sifgate",
        description="Know what is in a container image at the moment it starts on a cluster node.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sifgate {metadata.version('sifgate')}")
    parser.add_argument(
        "--root",
        default=os.environ.get("SIFGATE_ROOT", ""),
        metavar="DIR",
        help="keep all files of sifgate below DIR, for tests and trials (also SIFGATE_ROOT)",
    )
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        if wanted in (None, verb.name):
            _register(verb, subparsers)
        else:
            subparsers.add_parser(verb.name, help=verb.help)
    return parser


def _register(verb: Verb, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's own parser, or one that says which part of the installation is missing."""
    try:
        module = _module(verb)
    except ConfigError:
        subparsers.add_parser(verb.name, help=verb.help, add_help=False, prefix_chars="\0")
        return
    module.register(subparsers)


def _module(verb: Verb) -> Module:
    """Import the verb's module; raises ConfigError naming the extra that is missing."""
    if verb.door:
        made: Module = importlib.import_module("sifgate.cli.doors").DoorVerb(verb.name)
        return made
    try:
        return importlib.import_module(f"sifgate.cli.{verb.name.replace('-', '_')}")
    except ModuleNotFoundError as error:
        if not verb.extra or str(error.name).startswith("sifgate."):
            raise
        raise ConfigError(
            f"{verb.name}: the Python package {error.name} is not installed",
            hint=f"install the extra: pip install 'sifgate[{verb.extra}]'",
        ) from error


def _wanted(argv: list[str]) -> str:
    """Return the first word of `argv` that is a verb; empty where there is none (top-level help)."""
    words = iter(argv)
    for word in words:
        if word == "--root":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def describe(error: SifgateError) -> str:
    """Return the error's text for people: one `sifgate:` line, and what to do next if that is known."""
    hint = error.hint or HINTS.get(error.code, "")
    text = f"sifgate: {printable(str(error), newlines=True)}"
    return f"{text}\n  hint: {printable(hint)}" if hint else text


def exit_code(error: SifgateError) -> int:
    """Return 2 for what the administrator wrote, 3 for what could not be found out."""
    return USAGE if isinstance(error, (ConfigError, PolicyError)) or error.code == "usage" else UNDECIDED


def _run(argv: list[str]) -> int:
    """Parse and run one verb; errors of the tree come out as exceptions."""
    wanted = _wanted(argv)
    for verb in VERBS:
        if verb.name == wanted:
            module = _module(verb)
            arguments = build_parser(wanted).parse_args(argv)
            arguments.argv = argv
            return module.run(arguments, Places.here(arguments.root))
    build_parser(wanted).parse_args(argv)  # exits: help, version or a usage error
    return USAGE


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        code = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more to say at exit either
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - Python's own exit code 1 would mean "refused" to a script
        return _failed(error, verbose="--verbose" in words)
    return code


def _failed(error: Exception, *, verbose: bool) -> int:
    """Say what went wrong on stderr; return the exit code."""
    if verbose:
        traceback.print_exception(error)
    if not isinstance(error, SifgateError):
        error = SifgateError(f"a fault of sifgate itself: {type(error).__name__}: {error}")
    print(describe(error), file=sys.stderr)
    return exit_code(error)


if __name__ == "__main__":
    sys.exit(main())
