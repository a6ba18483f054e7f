# SPDX-License-Identifier: Apache-2.0
"""`sifgate exceptions`: list dated exceptions, write one, end one."""

from __future__ import annotations

import argparse
import sys
from datetime import date, datetime, timezone
from typing import Any

import msgspec

from sifgate.cli import exceptions_add, exceptions_expire
from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.exceptions_options import add_policy, days, policy_file
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.policy.exceptions.announce import Stage, stage_of
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.load import load_policy
from sifgate.render.table import Column, print_table

EPILOG = """\
examples:
  sifgate exceptions list --expiring 30d
  sifgate exceptions add SEC-7 --vulnerability CVE-2026-1 --package openssl --days 60 \\
      --account bio01 --reason "the server part is not started" --ticket T-7 --approved-by bob
  sifgate exceptions expire SEC-7
"""
COLUMNS = (
    Column("id"),
    Column("stage"),
    Column("expires"),
    Column("vulnerability", fold=True),
    Column("package", fold=True),
    Column("scope", fold=True),
    Column("reason", fold=True),
    Column("author"),
    Column("approved by", wide=True),
    Column("ticket", wide=True),
)
_SHOWN = 3


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "exceptions",
        help="list dated exceptions from the policy, write one, end one",
        description="List dated exceptions from the policy, write one, end one.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    listing = tasks.add_parser(
        "list",
        help="show exceptions: active, expiring, expired, ahead",
        description="Show the exceptions of the policy in force: active, expiring, expired, ahead.",
        epilog="example:\n  sifgate exceptions list --expiring 30d",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument(
        "--expiring",
        type=days,
        metavar="DAYS",
        help="only those that end within so many days, such as 30d",
    )
    add_policy(listing)
    add_format(listing)
    exceptions_add.add(tasks)
    exceptions_expire.add(tasks)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Do the task."""
    others = {"add": exceptions_add.run, "expire": exceptions_expire.run}
    return others.get(arguments.task, _list)(arguments, places)


def _list(arguments: argparse.Namespace, places: Places) -> int:
    policy = load_policy(policy_file(arguments.policy, places))
    announce = policy.exception_settings.limits.announce_days
    now = datetime.now(timezone.utc)
    rows = [(each, stage_of(each, now, announce)) for each in policy.exceptions]
    if arguments.expiring is not None:
        rows = [row for row in rows if stage_of(row[0], now, arguments.expiring) is Stage.EXPIRING]
    rows.sort(key=lambda row: (row[0].expires, row[0].id))
    if arguments.format == "json":
        print_json({"exceptions": [_document(each, stage, now.date()) for each, stage in rows]})
    elif rows:
        print_table(COLUMNS, (_row(each, stage) for each, stage in rows), sys.stdout)
    else:
        print(
            "no exceptions" if arguments.expiring is None else f"none ends within {arguments.expiring} days"
        )
    return ALLOWED


def _document(exception: PolicyException, stage: Stage, today: date) -> dict[str, Any]:
    """Return one exception as JSON has it; `days_left` counts from today (UTC), negative once it has ended."""
    fields: dict[str, Any] = msgspec.to_builtins(exception)
    left = (exception.expires - today).days
    return {"stage": stage.value, "days_left": left, **fields, "package": _package(exception) or None}


def _row(exception: PolicyException, stage: Stage) -> tuple[str, ...]:
    ids = exception.vulnerabilities
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    until = ", until a fix is there" if exception.until else ""
    return (
        exception.id,
        stage.value,
        f"{exception.expires.isoformat()}{until}",
        ", ".join(ids[:_SHOWN]) + more or "all",
        _package(exception) or "any",
        scope_words(exception) or "every launch",
        exception.reason,
        exception.author,
        exception.approved_by or "-",
        exception.ticket or "-",
    )


def _package(exception: PolicyException) -> str:
    """Return the package in the words of a rule, without the leading `in`."""
    if exception.package is None:
        return ""
    named = exception.package
    words = [*named.either, *named.name, *(f"source {word}" for word in named.source)]
    words += [*map(str, named.purl), *named.manager, *named.path]
    return ", ".join(words)


def scope_words(exception: PolicyException) -> str:
    """Return the scope as `user alice; path /apps/**`; empty where there is none."""
    fields = msgspec.structs.asdict(exception.scope)
    return "; ".join(
        f"{name.replace('_', ' ')} {', '.join(words)}" for name, words in fields.items() if words
    )
