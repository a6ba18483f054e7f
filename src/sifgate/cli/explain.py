# SPDX-License-Identifier: Apache-2.0
"""`sifgate explain`: the record behind the reference of a notice, or of an image now, and each rule's part in it."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import msgspec

from sifgate.audit.query import Found
from sifgate.cli.conversation import (
    DEFAULT_WAIT,
    Explanation,
    add_format,
    client,
    decode,
    image_fields,
    print_json,
    progress,
)
from sifgate.cli.main import ALLOWED
from sifgate.cli.policy_files import in_force
from sifgate.config import Places
from sifgate.errors import ConfigError, PolicyError, Unresolved
from sifgate.policy.document import Policy
from sifgate.policy.load import load_policy
from sifgate.policy.trace import Explanation as Trace
from sifgate.render.escape import printable
from sifgate.whatif.kept import Kept
from sifgate.whatif.kept_policies import KeptPolicies, node_sources
from sifgate.whatif.recorded import standing_of
from sifgate.whatif.retrace import retrace

EPILOG = """\
examples:
  sifgate explain 7QX4-19
  sifgate explain ./sci.sif       what a launch of this image would meet now, rule by rule
  sifgate explain --last          your newest launch on this node, where its notice could not be shown

Users see their own records; root and the audit group see all.
exit codes: 0 found, 2 usage or configuration, 3 not found or no agent
"""
DECISIONS = frozenset({"decided", "asked", "would_have_blocked"})
"""Outcomes of records that hold a decision."""
_REFERENCE = re.compile(r"[0-9A-Za-z]{4}-[0-9A-Za-z]{2}|[0-9a-f]{26}")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "explain",
        help="show why a launch was allowed, warned or refused, rule by rule",
        description="Show why a launch was allowed, warned or refused, from its audit record.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "reference",
        metavar="REF|IMAGE",
        nargs="?",
        default="",
        help="the `ref` of the notice, such as 7QX4-19; or an image",
    )
    which.add_argument("--last", action="store_true", help="your newest record on this node")
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Print the record and its trace; errors for one that is not there."""
    found = _newest(places) if arguments.last else _asked(arguments.reference.strip(), places)
    trace = traced(found, places)
    if arguments.format == "json":
        document = msgspec.to_builtins(found.record)
        print_json({**document, "trace": trace if isinstance(trace, Trace) else None})
        return ALLOWED
    from sifgate.render.decisions import explanation
    from sifgate.render.trace import trace_lines

    print(explanation(found.record))
    if isinstance(trace, Trace):
        print("\n".join(trace_lines(trace)))
    elif trace:
        print(f"  rules     cannot be shown: {printable(trace)}")
    return ALLOWED


def traced(found: Explanation, places: Places) -> Trace | str:
    """Return how the decision came about; why that cannot be told, in words; empty for a record of no decision."""
    record = found.record
    if record.outcome not in DECISIONS:
        return ""
    evidence = places.state / "agent/evidence"
    standing = found.standing
    try:
        if standing is None:
            standing = standing_of(record, Kept(evidence))
        if standing is None:
            return "what was judged is not kept on this node, or only root may read it"
        policy = _policy(record.policy, places)
        return policy if isinstance(policy, str) else retrace(record, standing, policy)
    except ValueError as error:
        return f"the record cannot be understood: {error}"


def _policy(digest: str, places: Places) -> Policy | str:
    """Return the policy that judged, in force or kept; else why it cannot be had."""
    try:
        present = load_policy(in_force(places))
    except PolicyError:
        present = None
    if present is not None and present.digest == digest:
        return present
    kept = KeptPolicies(node_sources(places.state / "agent/evidence"))(digest)
    return f"the policy that judged is not in force any more, and {kept}" if isinstance(kept, str) else kept


def _asked(word: str, places: Places) -> Explanation:
    """Return the record behind a reference; for the path of an image, the record of a question about it now."""
    if _REFERENCE.fullmatch(word) or not Path(word).exists():
        return _referred(word, places)
    fields = [*image_fields(word), ("deadline_ms", b"%d" % (DEFAULT_WAIT * 1000)), ("detail", b"1")]
    with progress(f"checking {word}") as wait:
        answer = client(places).ask(fields, deadline=DEFAULT_WAIT, wait=wait)
    return _referred(answer.text("reference"), places)


def _newest(places: Places) -> Explanation:
    """Return the newest record of who asks, and what was judged."""
    body = client(places).query("audit", [("uid", str(os.getuid()).encode()), ("limit", b"1")])
    found = decode(body, Found, "audit").records
    if not found:
        raise Unresolved("no launch of yours is in the record of this node")
    return _referred(found[0].id, places)


def _referred(reference: str, places: Places) -> Explanation:
    """Return the record behind a reference, and what was judged if the node still has it."""
    if not _REFERENCE.fullmatch(reference):
        raise ConfigError(
            f"{reference}: not a reference (expected something like 7QX4-19)",
            hint="it stands on the notice, after `ref`; or name an image that is there",
        )
    body = client(places).query("explain", [("reference", reference.encode())])
    return decode(body, Explanation, "explain")
