# SPDX-License-Identifier: Apache-2.0
"""`sifgate vex create`: one statement in an OpenVEX document of its own."""

from __future__ import annotations

import argparse
import hashlib
import sys
from datetime import datetime, timezone
from pathlib import Path

from sifgate import newfile
from sifgate.cli.conversation import add_format, print_json
from sifgate.cli.exceptions_options import add_policy, policy_file
from sifgate.cli.main import ALLOWED
from sifgate.config import Places
from sifgate.errors import ConfigError
from sifgate.model.vex import VexStatus
from sifgate.policy.load import load_with_sources
from sifgate.vex.read import read_documents
from sifgate.vex.trust import is_trusted
from sifgate.vex.words import JUSTIFICATIONS, STATUSES
from sifgate.vex.write import Draft, openvex

_BLOCK = 1 << 20
EPILOG = """\
examples:
  sifgate vex create --author security@site.example --vulnerability CVE-2026-1 \\
      --product pkg:deb/debian/curl --status not_affected --justification vulnerable_code_not_present
  sifgate vex create --author security@site.example --vulnerability CVE-2026-1 --image ./sci.sif \\
      --component pkg:pypi/requests --status not_affected --impact "only used in the build" --output -

Without --output the document goes into the policy's directory of VEX documents. Nothing is ever overwritten.
"""


def add(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the task's parser."""
    parser = tasks.add_parser(
        "create",
        help="write one statement as an OpenVEX document",
        description="Write one statement as an OpenVEX v0.2.0 document.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--author", required=True, metavar="NAME", help="as the policy trusts it")
    parser.add_argument("--vulnerability", required=True, metavar="ID", help="a CVE or another name")
    parser.add_argument(
        "--alias", action="append", default=[], metavar="ID", help="another name of it; repeatable"
    )
    parser.add_argument("--status", required=True, choices=STATUSES, help="what is said of it")
    parser.add_argument(
        "--product",
        action="append",
        default=[],
        metavar="PURL",
        help="package URL or sha256:... of an image; repeatable",
    )
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="an image file, by its digest; repeatable",
    )
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        metavar="PURL",
        help="only this package in the images; repeatable",
    )
    parser.add_argument("--justification", default="", metavar="WORD", help=", ".join(JUSTIFICATIONS))
    parser.add_argument("--impact", default="", metavar="TEXT", help="why it is not affected, in words")
    parser.add_argument("--action", default="", metavar="TEXT", help="what to do, where it is affected")
    parser.add_argument("--id", default="", metavar="IRI", help="of the document; default: a new one")
    parser.add_argument("--output", metavar="FILE", help="where to write it; - for standard output")
    add_policy(parser)
    add_format(parser)


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Write it; ConfigError for a statement that makes no sense."""
    now = datetime.now(timezone.utc)
    content = openvex(_draft(arguments), now)
    if arguments.output == "-":
        sys.stdout.write(content.decode())
        return ALLOWED
    path, note = _place(arguments, places, now)
    read_documents([(str(path), content)], failure=ConfigError)
    newfile.create(path, content)
    if arguments.format == "json":
        print_json({"written": str(path), "note": note})
    else:
        print(f"{path}: written{f'; {note}' if note else ''}")
    return ALLOWED


def _draft(arguments: argparse.Namespace) -> Draft:
    return Draft(
        author=arguments.author,
        vulnerability=arguments.vulnerability,
        status=VexStatus(arguments.status),
        products=(*arguments.product, *map(_digest, arguments.image)),
        aliases=tuple(arguments.alias),
        subcomponents=tuple(arguments.component),
        justification=arguments.justification,
        impact=arguments.impact,
        action=arguments.action,
        identity=arguments.id,
    )


def _digest(path: Path) -> str:
    """Return `sha256:…` of a whole image file."""
    try:
        return f"sha256:{_sha256(path)}"
    except OSError as error:
        hint = "name an image file; a directory has no digest"
        raise ConfigError(f"{path}: {error.strerror}", hint=hint) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _place(arguments: argparse.Namespace, places: Places, now: datetime) -> tuple[Path, str]:
    """Return where the document goes, and what is to be said of it there."""
    if arguments.output:
        return Path(arguments.output), ""
    sources, policy = load_with_sources(policy_file(arguments.policy, places))
    if not sources.vex_directory:
        raise ConfigError(
            "the policy names no directory of VEX documents", hint="--output FILE names a place"
        )
    name = f"{arguments.vulnerability.lower()}-{now:%Y%m%dT%H%M%S}.json".replace("/", "-")
    trusted = is_trusted(arguments.author, policy.vex_settings.trusted_authors)
    note = "it counts once the agent has read it: sifgate reload"
    if not trusted:
        note = f"the policy does not trust {arguments.author}: add it to `vex: {{trusted_authors: [...]}}`"
    return Path(sources.vex_directory) / name, note
