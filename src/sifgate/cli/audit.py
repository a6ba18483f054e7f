# SPDX-License-Identifier: Apache-2.0
"""`sifgate audit`: follow, search, verify, replay or export the record of decisions."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from datetime import datetime, timedelta, timezone

from sifgate.audit.query import Found
from sifgate.audit.record import AuditRecord
from sifgate.cli import audit_export, audit_replay, audit_site, audit_verify
from sifgate.cli.conversation import Fields, add_format, client, decode
from sifgate.cli.main import ALLOWED
from sifgate.client import Client
from sifgate.config import Places

EPILOG = """\
examples:
  sifgate audit tail --follow
  sifgate audit query --action block --since 24h
  sifgate audit query --user alice --cve CVE-2025-48384 --format json
  sudo sifgate audit query --site --rule kev-fixable --since 30d
  sifgate audit verify && sifgate audit replay --since 30d

Users see their own records; root and the audit group see all. JSON is one record a line.
"""
FILTERS = (
    ("user", "NAME", "of the user NAME"),
    ("job", "ID", "of the Slurm job ID"),
    ("account", "NAME", "of the Slurm account NAME"),
    ("partition", "NAME", "of jobs in the partition NAME"),
    ("rule", "ID", "where the rule ID was among the reasons"),
    ("image", "TEXT", "whose image has TEXT in its name"),
    ("action", "ACTION", "that ended as allow, log, warn or block"),
    ("state", "STATE", "judged in the scan state STATE, such as pending"),
    ("door", "DOOR", "that entered by DOOR, such as spank"),
    ("outcome", "OUTCOME", "with the outcome decided, asked, would_have_blocked, break_glass or chain"),
    ("cve", "CVE", "where CVE was among the reasons"),
    ("fingerprint", "HEX", "of images whose fingerprint begins with HEX"),
)
ACTIONS = ("allow", "log", "warn", "block")
POLL = 1.0
"""Seconds between two looks of `--follow`."""
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "audit",
        help="follow, search, verify, replay or export the record of decisions",
        description="Follow, search, verify, replay or export the record of decisions of this node.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    tail = tasks.add_parser(
        "tail",
        help="show the newest records",
        description="Show the newest records, oldest of them first.",
        epilog="example:\n  sifgate audit tail --follow",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tail.add_argument("-f", "--follow", action="store_true", help="go on with new ones as they come")
    query = tasks.add_parser(
        "query",
        help="search records",
        description="Search records, newest last.",
        epilog="example:\n  sifgate audit query --action block --since 24h",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    query.add_argument(
        "--since", type=since, metavar="WHEN", help="newer than WHEN: 90m, 24h, 7d, or an ISO date or time"
    )
    audit_site.add(query, since)
    for task, limit in ((tail, 20), (query, 1000)):
        task.add_argument(
            "-n",
            "--limit",
            type=int,
            default=limit,
            metavar="N",
            help="at most N records (default: %(default)s)",
        )
        add_filters(task)
        add_format(task)
    for module in (audit_verify, audit_replay, audit_export):
        module.register(tasks)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add one option for each filter."""
    for name, metavar, text in FILTERS:
        choices = ACTIONS if name == "action" else None
        parser.add_argument(f"--{name}", metavar=metavar, choices=choices, help=f"only records {text}")


def since(text: str) -> str:
    """Return the ISO time (UTC) that `24h`, a date or a time means; raises ArgumentTypeError."""
    ago = _AGO.fullmatch(text)
    if ago:
        moment = datetime.now(timezone.utc) - timedelta(**{_UNITS[ago.group(2)]: int(ago.group(1))})
    else:
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is neither 24h, 7d nor an ISO date or time") from None
        moment = moment.astimezone(timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Do what the task says."""
    return _TASKS.get(arguments.task, _search)(arguments, places)


def _search(arguments: argparse.Namespace, places: Places) -> int:
    """Print what matches, newest last."""
    if getattr(arguments, "site", False):
        _show(audit_site.records(arguments, places), arguments.format)
        return ALLOWED
    audit_site.check_local(arguments)
    filters: Fields = [
        (name, os.fsencode(str(getattr(arguments, name))))
        for name, _, _ in FILTERS
        if getattr(arguments, name)
    ]
    agent = client(places)
    found = _ask(agent, filters, arguments.limit, getattr(arguments, "since", None))
    _show(found.records, arguments.format)
    if found.unreadable:
        print(f"sifgate: {found.unreadable} lines of the log could not be read", file=sys.stderr)
    if getattr(arguments, "follow", False):
        _follow(agent, filters, found.records, arguments.format)
    return ALLOWED


def _ask(agent: Client, filters: Fields, limit: int, newer: str | None) -> Found:
    fields = [*filters, ("limit", b"%d" % limit)]
    if newer:
        fields.append(("since", newer.encode()))
    found = decode(agent.query("audit", fields), Found, "audit")
    found.records.reverse()
    return found


def _follow(agent: Client, filters: Fields, shown: list[AuditRecord], form: str) -> None:
    """Print new records as they come, until interrupted."""
    latest = shown[-1].time if shown else since("0s")
    seen = {record.id for record in shown}
    while True:
        time.sleep(POLL)
        fresh = [record for record in _ask(agent, filters, 1000, latest).records if record.id not in seen]
        _show(fresh, form)
        sys.stdout.flush()
        if fresh:
            latest = fresh[-1].time
            seen = {record.id for record in [*shown, *fresh] if record.time >= latest}
            shown = fresh


def _show(records: list[AuditRecord], form: str) -> None:
    if form == "json":
        from sifgate.render.documents import line

        for record in records:
            print(line(record))
    elif records:
        from sifgate.render.decisions import print_records

        print_records(records, sys.stdout)


_TASKS = {
    "verify": audit_verify.run,
    "replay": audit_replay.run,
    "export": audit_export.run,
    "pseudonym": audit_export.tell,
}
