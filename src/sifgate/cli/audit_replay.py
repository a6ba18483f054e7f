# SPDX-License-Identifier: Apache-2.0
"""`sifgate audit replay`: every recorded decision computed again, with its own policy, verdict and clock."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sifgate.audit.files import history, lines
from sifgate.cli.conversation import add_format, print_json, progress
from sifgate.cli.main import ALLOWED, REFUSED, UNDECIDED
from sifgate.config import Places
from sifgate.errors import ConfigError
from sifgate.model.verdict import Verdict
from sifgate.render.escape import printable
from sifgate.whatif.kept import Kept
from sifgate.whatif.kept_policies import KeptPolicies, node_sources
from sifgate.whatif.recorded import Verdicts
from sifgate.whatif.replay import Replay, Replayed

EPILOG = """\
examples:
  sifgate audit replay --since 30d
  sifgate audit replay --site --since 7d

exit codes: 0 every decision comes out as it was recorded, 1 at least one does not, 2 usage,
3 some could not be computed again (the reasons are listed)
"""


def register(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    from sifgate.cli.audit import since

    parser = tasks.add_parser(
        "replay",
        help="compute every recorded decision again and report differences",
        description="Compute every recorded decision again, with the policy, the verdict and the time that its record"
        " names, and report every difference.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--since", type=since, metavar="WHEN", help="records from WHEN on (default: all)")
    parser.add_argument("--until", type=since, metavar="WHEN", help="records before WHEN (default: all)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--log", type=Path, metavar="FILE", help="a log, with its rotated files (default: this node's)"
    )
    source.add_argument("--site", action="store_true", help="records of all nodes, from the server")
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Replay, print, return the exit code."""
    with progress("replaying"):
        found = _site(arguments, places) if arguments.site else _node(arguments, places)
    if arguments.format == "json":
        print_json({"records": found.records, **msgspec.structs.asdict(found)})
    else:
        for line in _lines(found):
            print(printable(line))
    if found.different:
        return REFUSED
    return UNDECIDED if found.lacking else ALLOWED


def _node(arguments: argparse.Namespace, places: Places) -> Replayed:
    log: Path = arguments.log or places.log / "audit.jsonl"
    files = history(log)
    if not files:
        raise ConfigError(f"{log}: no audit log", hint="--log names another one, --site asks the server")
    evidence = places.state / "agent/evidence"
    read = (line for file in files for _, line in lines(file))
    replay = Replay(KeptPolicies(node_sources(evidence)), Kept(evidence))
    return replay.run(read, since=arguments.since or "", until=arguments.until or "~")


def _site(arguments: argparse.Namespace, places: Places) -> Replayed:
    from sifgate.cli.site import Site, site_of

    site: Site = site_of(places)
    exported: Iterator[bytes] = site.export(arguments.since or "", arguments.until or "")
    return Replay(KeptPolicies(site.policy), _verdicts(site)).run(exported)


def _verdicts(site: object) -> Verdicts:
    """Return the server's verdicts by digest."""
    from sifgate.cli.site import Site

    assert isinstance(site, Site)  # noqa: S101 - imported late, for what needs no server

    def verdict(digest: str) -> Verdict | None:
        body = site.verdict(digest)
        try:
            return None if body is None else msgspec.json.decode(body, type=Verdict)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    return verdict


def _lines(found: Replayed) -> Iterator[str]:
    """Yield the report."""
    yield f"{found.records:,} records: {found.same:,} come out as recorded, {found.different:,} do not"
    for difference in found.differences:
        yield (
            f"  differs   {difference.reference or difference.id} of {difference.time}: {difference.field}:"
            f" recorded {difference.recorded}, computed {difference.computed}"
        )
    for why, count in sorted(found.lacking.items(), key=lambda item: -item[1]):
        yield f"  not done  {count:,}: {why}"
    for kind, count in sorted(found.apart.items()):
        yield f"  apart     {count:,}: {_APART.get(kind, kind)}"
    if found.unreadable:
        yield f"  unread    {found.unreadable:,} lines hold no record"


_APART = {
    "chain": "the log's own bookkeeping",
    "break_glass": "grants that began or ended",
    "posture": "no policy could be loaded: the built-in posture decided",
    "kept_by server": "another node of the step decided",
    "judged elsewhere": "not judged at this door",
    "schema 1": "schema 1: the record holds too little",
}
