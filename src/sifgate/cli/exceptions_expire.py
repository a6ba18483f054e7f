# SPDX-License-Identifier: Apache-2.0
"""`sifgate exceptions expire`: let an exception end now, and keep it on record."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec

from sifgate import newfile
from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.exceptions_options import add_policy, directory_of, policy_file
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.errors import ConfigError, PolicyError
from sifgate.policy.exceptions.write import ended, identities
from sifgate.policy.load import policy_of, policy_sources
from sifgate.policy.sources import PolicySources, Role, SourceFile

EPILOG = """\
example:
  sifgate exceptions expire SEC-7

Only the date `expires` in its file is changed, to yesterday (UTC): the exception stays listed as expired, comments and
all other entries stay as they are.
"""


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the task's parser."""
    parser = tasks.add_parser(
        "expire",
        help="let an exception end now",
        description="Let an exception end now, and keep it on record.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("id", metavar="ID", help="the exception, as `sifgate exceptions list` shows it")
    add_policy(parser)
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Change the date in its file; ConfigError for one that is not there, PolicyError for one that began today."""
    sources = policy_sources(policy_file(arguments.policy, places))
    directory_of(sources)
    yesterday = datetime.now(timezone.utc).date() - timedelta(days=1)
    file = _file_of(sources, arguments.id)
    content = ended(file.content, file.path, arguments.id, yesterday)
    changed = msgspec.structs.replace(file, content=content)
    try:
        policy_of(msgspec.structs.replace(sources, files=_with(sources, changed)))
    except PolicyError as error:
        hint = f"an exception that began today cannot have ended: take it out of {file.path}"
        raise PolicyError(f"not changed: {error}", hint=hint) from error
    newfile.replace(Path(file.path), content)
    if arguments.format == "json":
        print_json({"id": arguments.id, "file": file.path, "expires": yesterday.isoformat()})
    else:
        print(
            f"{file.path}: {arguments.id} ended on {yesterday}; it counts until the agent has read it: sifgate reload"
        )
    return ALLOWED


def _file_of(sources: PolicySources, identity: str) -> SourceFile:
    """Return the file that holds an exception; ConfigError where none does."""
    for file in sources.of(Role.EXCEPTION):
        if identity in identities(file.content, file.path):
            return file
    raise ConfigError(f"{identity}: no such exception", hint="`sifgate exceptions list` shows all")


def _with(sources: PolicySources, changed: SourceFile) -> tuple[SourceFile, ...]:
    return tuple(changed if each.path == changed.path else each for each in sources.files)
