# SPDX-License-Identifier: Apache-2.0
"""`sifgate exceptions add`: one valid dated exception in a file of its own."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from sifgate import newfile
from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.exceptions_options import add_policy, days, directory_of, policy_file
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.errors import ConfigError, PolicyError
from sifgate.policy.exceptions.read import SCOPE_KEYS
from sifgate.policy.exceptions.write import rendered
from sifgate.policy.load import policy_of, policy_sources
from sifgate.policy.sources import PolicySources, Role, SourceFile
from sifgate.vex.words import JUSTIFICATIONS

EPILOG = """\
example:
  sifgate exceptions add SEC-7 --vulnerability CVE-2026-1 --package openssl --days 60 \\
      --account bio01 --reason "the server part is not started" --ticket T-7 --approved-by bob

The file is read with the policy, its limits and all other exceptions before it is put in place; nothing is ever
overwritten. It counts as soon as the agent has read it (`sifgate reload`).
"""
_HELP = {
    "image_digest": "only in the image file with this digest (sha256:...)",
    "path": "only in images whose path fits PATTERN: * within a directory, ** across directories",
    "owner": "only in image files of this user",
    "user": "only for launches of this user",
    "group": "only for launches of members of this group",
    "account": "only for jobs of this Slurm account",
    "partition": "only for jobs in this partition",
}


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the task's parser."""
    parser = tasks.add_parser(
        "add",
        help="write one exception",
        description="Write one exception into a file of its own in the policy's directory of exceptions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("id", metavar="ID", help="unique over all files; the file will be ID.yaml")
    parser.add_argument(
        "--vulnerability", action="append", metavar="ID", help="a CVE or another name; repeatable"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--package", action="append", metavar="NAME", help="only in this package; repeatable")
    which.add_argument("--purl", action="append", metavar="PURL", help="only in this package; repeatable")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it may run all the same")
    parser.add_argument("--author", metavar="NAME", help="default: who calls this command")
    parser.add_argument("--approved-by", metavar="NAME", help="who has agreed to it")
    parser.add_argument("--ticket", metavar="TEXT", help="where it was discussed")
    parser.add_argument("--justification", choices=JUSTIFICATIONS, help="in the words of OpenVEX")
    ends = parser.add_mutually_exclusive_group(required=True)
    ends.add_argument("--expires", type=_date, metavar="DATE", help="its last day, YYYY-MM-DD, UTC")
    ends.add_argument("--days", type=days, metavar="N", help="so many days from today")
    parser.add_argument("--until-fixed", action="store_true", help="it ends before that once there is a fix")
    for key in SCOPE_KEYS:
        metavar = "PATTERN" if key == "path" else key.rpartition("_")[2].upper()
        parser.add_argument(f"--{key.replace('_', '-')}", action="append", metavar=metavar, help=_HELP[key])
    parser.add_argument("--dry-run", action="store_true", help="check and print, write nothing")
    add_policy(parser)
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Write it; PolicyError for an exception that the policy would not load."""
    sources = policy_sources(policy_file(arguments.policy, places))
    directory = directory_of(sources)
    today = datetime.now(timezone.utc).date()
    content = rendered([entry_of(arguments, today)])
    path = directory / f"{arguments.id}.yaml"
    _check(sources, path, content)
    if arguments.dry_run:
        sys.stdout.write(content.decode())
        return ALLOWED
    newfile.create(path, content)
    if arguments.format == "json":
        print_json({"written": str(path), "id": arguments.id})
    else:
        print(f"{path}: written; it counts once the agent has read it: sifgate reload")
    return ALLOWED


def entry_of(arguments: argparse.Namespace, today: date) -> dict[str, Any]:
    """Return the entry of the file form that the arguments ask for, created today."""
    scope = {key: getattr(arguments, key) for key in SCOPE_KEYS if getattr(arguments, key)}
    entry: dict[str, Any] = {
        "id": arguments.id,
        "vulnerability": arguments.vulnerability,
        "package": {"purl": arguments.purl} if arguments.purl else arguments.package,
        "scope": scope,
        "reason": arguments.reason,
        "justification": arguments.justification,
        "author": arguments.author or _caller(),
        "approved_by": arguments.approved_by,
        "ticket": arguments.ticket,
        "created": today,
        "expires": arguments.expires or today + timedelta(days=arguments.days),
        "until": "fix_available" if arguments.until_fixed else None,
    }
    return {key: value for key, value in entry.items() if value}


def _check(sources: PolicySources, path: Path, content: bytes) -> None:
    """Raise PolicyError unless the policy loads with the new file beside all others."""
    others = tuple(file for file in sources.files if file.path != str(path))
    if len(others) < len(sources.files):
        raise ConfigError(f"{path}: is there already", hint="choose another id, or remove it")
    added = SourceFile(str(path), Role.EXCEPTION, content)
    try:
        policy_of(msgspec.structs.replace(sources, files=(*others, added)))
    except PolicyError as error:
        raise PolicyError(f"not written: {error}", hint=error.hint) from error


def _caller() -> str:
    """Return the name of who calls, behind sudo too."""
    if os.getuid() == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise ConfigError(f"uid {os.getuid()} has no name", hint="name the author: --author NAME") from None


def _date(text: str) -> date:
    try:
        if len(text) == len("2026-01-01"):  # Python 3.11 also takes 20260101 and 2026-W01-1
            return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  # a day, not a moment
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-12-31")
