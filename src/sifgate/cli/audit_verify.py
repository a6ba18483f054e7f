# SPDX-License-Identifier: Apache-2.0
"""`sifgate audit verify`: whether the log is as it was written, by its chain and by the heads that left the node."""

from __future__ import annotations

import argparse
import base64
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from sifgate.audit.chain import Link
from sifgate.audit.files import history
from sifgate.audit.findings import Problem, Verified
from sifgate.audit.verify import sorted_files, verify
from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.main import ALLOWED, REFUSED, UNDECIDED
from sifgate.config import Places
from sifgate.errors import AuditError, ConfigError
from sifgate.model.head import Countersigned, signed_bytes
from sifgate.render.escape import printable

EPILOG = """\
examples:
  sifgate audit verify                                this node's log, with the heads kept on it
  sifgate audit verify --site                         and with those that the server has countersigned
  sifgate audit verify --heads heads.jsonl audit.jsonl-*  a copy of a log, wherever it lies

What this proves and what not: docs/audit.md.
exit codes: 0 intact, 1 altered, missing or re-ordered records, 2 usage, 3 nothing there to verify
"""


class Heads(NamedTuple):
    """Heads to check by, and what is wrong with them."""

    links: tuple[Link, ...] = ()
    problems: tuple[str, ...] = ()
    signed: bool = False
    """Whether each countersignature was checked."""


def register(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = tasks.add_parser(
        "verify",
        help="name the first altered, missing or re-ordered record",
        description="Read the log with all its rotated files, packed ones included, and name the first record that is"
        " not as it was written.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: the log of this node")
    parser.add_argument(
        "--heads", type=Path, metavar="FILE", help="countersigned heads (default: those that this node keeps)"
    )
    parser.add_argument("--site", action="store_true", help="also check by the heads that the server has")
    parser.add_argument(
        "--node", default="", metavar="NAME", help="with --site: of NAME (default: this node)"
    )
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Verify, print, return the exit code."""
    files = arguments.files or history(places.log / "audit.jsonl")
    heads = _heads(arguments, places)
    if not files:
        raise ConfigError(f"{places.log / 'audit.jsonl'}: no audit log", hint="name the files of a log")
    found = verify(_in_order(files), heads.links)
    if arguments.format == "json":
        print_json(
            {
                "intact": found.intact and not heads.problems,
                "heads_problems": heads.problems,
                **_document(found),
            }
        )
    else:
        for line in _lines(found, heads, len(files)):
            print(printable(line))
    if not found.intact or heads.problems:
        return REFUSED
    return ALLOWED if found.records or found.before_chain else UNDECIDED


def _in_order(files: list[Path]) -> list[Path]:
    try:
        return sorted_files(files)
    except AuditError:
        return files  # the one that cannot be read is named as a problem


def _heads(arguments: argparse.Namespace, places: Places) -> Heads:
    """Return all heads that there are to check by; raises ConfigError, ServerUnreachable."""
    own = places.state / "agent/heads.jsonl"
    path: Path | None = arguments.heads or (None if arguments.files else own)
    if arguments.heads and not arguments.heads.is_file():
        raise ConfigError(f"{arguments.heads}: no such file of heads")
    kept = [] if path is None else _read(path)
    if not arguments.site:
        return Heads(tuple(map(_link, kept)))
    from sifgate.cli.site import site_of

    site = site_of(places)
    told = site.heads(arguments.node or socket.gethostname())
    keys = {key.key: base64.b64decode(key.public) for key in site.head_keys()}
    problems = [
        f"the server has refused a head: {refused.get('reason', refused)}" for refused in told.refused
    ]
    good, bad = _signed((*kept, *told.heads), keys)
    problems += [f"the countersignature of head {head.seq} ({head.time}) is not the server's" for head in bad]
    return Heads(tuple(map(_link, good)), tuple(problems), signed=True)


def _signed(
    heads: Iterable[Countersigned], keys: dict[str, bytes]
) -> tuple[list[Countersigned], list[Countersigned]]:
    """Return the heads that a key of the server has signed, and the others."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise ConfigError(
            "countersignatures cannot be checked without the Python package cryptography",
            hint="pip install sifgate[server], or verify on the server's machine",
        ) from error
    good, bad = [], []
    for head in heads:
        try:
            key = Ed25519PublicKey.from_public_bytes(keys[head.key])
            key.verify(base64.b64decode(head.signature), signed_bytes(head))
        except (KeyError, ValueError, InvalidSignature):
            bad.append(head)
        else:
            good.append(head)
    return good, bad


def _read(path: Path) -> list[Countersigned]:
    from sifgate.agent.heads import kept_heads

    try:
        return kept_heads(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="run as root") from error


def _link(head: Countersigned) -> Link:
    return Link(head.chain, head.seq, head.head, head.time)


def _document(found: Verified) -> dict[str, object]:
    fields = msgspec.structs.asdict(found)
    fields["chains"] = {name: list(span) for name, span in found.chains.items()}
    return fields


def _lines(found: Verified, heads: Heads, files: int) -> Iterable[str]:
    """Yield the report."""
    word = "intact" if found.intact and not heads.problems else "NOT AS IT WAS WRITTEN"
    yield f"{found.records:,} records in {files} {'file' if files == 1 else 'files'}: {word}"
    for name, (first, last) in found.chains.items():
        yield f"  chain     {name}: records {first} to {last}"
    if found.before_chain:
        yield f"  before    {found.before_chain:,} lines from before the chain: nothing can be said of them"
    kind = "countersigned heads" if heads.signed else "heads (countersignatures not checked: --site does)"
    yield f"  heads     {found.heads_matched} {kind} match" + (
        f"; the newest vouches for all up to record {found.vouched}" if found.vouched else ""
    )
    for problem in heads.problems:
        yield f"  problem   {problem}"
    if found.first is not None:
        yield f"  first     {_place(found.first)}"
    yield from (f"  then      {_place(problem)}" for problem in found.problems[1:])
    hidden = found.problem_count - len(found.problems)
    if hidden:
        yield f"  and       {hidden:,} more"
    yield from (f"  told      {_place(note)}" for note in found.notes)


def _place(problem: Problem) -> str:
    record = f"record {problem.seq}" + (f" of {problem.time}" if problem.time else "") if problem.seq else ""
    return f"{problem.kind}: {problem.file}:{problem.line}: {record or 'no record'}: {problem.detail}"
