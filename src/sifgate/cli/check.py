# SPDX-License-Identifier: Apache-2.0
"""`sifgate check`: the answer that a launch would get, now, with its reasons."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from sifgate.audit.record import AuditRecord
from sifgate.cli.conversation import (
    Fields,
    add_format,
    add_wait,
    client,
    decode,
    environment_fields,
    image_fields,
    place_fields,
    print_json,
    progress,
)
from sifgate.config import Places
from sifgate.errors import ConfigError, ProtocolError
from sifgate.model.decision import Action
from sifgate.origin.sighting import RawLaunch
from sifgate.origin.slurm import sightings
from sifgate.render.escape import printable
from sifgate.wire import Message

EPILOG = """\
examples:
  sifgate check sci.sif
  sifgate check --format json sci.sif
  sifgate check sci.sif -- apptainer exec -B /data sci.sif mrinfo brain.mif
  sifgate check -- srun apptainer exec sci.sif mrinfo     (the image as a launch would name it)

exit codes: 0 allowed (also with a warning), 1 refused, 2 usage or configuration, 3 could not decide
"""


class Detail(msgspec.Struct, frozen=True):
    """What the agent adds to a decision when it is asked for `detail` (docs/protocol.md §1)."""

    record: AuditRecord


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser."""
    parser = subparsers.add_parser(
        "check",
        help="ask whether an image would be allowed to start, as a launch would",
        description="Ask this node's agent whether the image would be allowed to start, as a launch would.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="IMAGE [-- COMMAND …]",
        help="SIF, squashfs or sandbox directory; and the command to start it",
    )
    add_wait(parser)
    add_format(parser)


def split(words: list[str], argv: list[str]) -> tuple[str, list[str]]:
    """Return (image or "", command) from the command line; raises ConfigError for anything else."""
    command = argv[argv.index("--") + 1 :] if "--" in argv else []
    images = words[: len(words) - len(command)] if command else words
    if len(images) > 1 or not (images or command):
        raise ConfigError(
            f"check: one image is checked at a time (got {len(images)})",
            hint="sifgate check IMAGE [-- COMMAND …]",
        )
    return (images[0] if images else ""), command


def command_fields(image: str, command: list[str]) -> Fields:
    """Return the fields of a launch by `command`; raises ConfigError where it does not start `image`."""
    seen = sightings(RawLaunch(tuple(command), dict(os.environ), str(Path.cwd())))
    if not seen:
        raise ConfigError(
            f"check: `{command[0]}` starts no container that sifgate knows of",
            hint="a launch like this is not judged at all; name the image alone to see what is known of it",
        )
    paths = {os.path.realpath(sighting.reference.path) for sighting in seen if sighting.reference.path}
    if image and os.path.realpath(image) not in paths:
        started = ", ".join(sighting.reference.text for sighting in seen)
        raise ConfigError(f"check: the command starts {started} (expected {image})")
    words = [("arg", os.fsencode(word)) for word in command]
    return [*place_fields(), *words, *environment_fields(os.environ)]


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Ask, show the answer; return 0 or 1 as a launch would fare."""
    image, command = split(arguments.words, arguments.argv)
    fields = command_fields(image, command) if command else image_fields(image)
    fields += [("deadline_ms", b"%d" % (arguments.wait * 1000)), ("detail", b"1")]
    with progress(f"checking {image or command[0]}") as wait:
        answer = client(places).ask(fields, deadline=arguments.wait, wait=wait)
    action = _action(answer)
    record = _record(answer)
    if arguments.format == "json":
        from sifgate.render.documents import check_document

        print_json(check_document(image, action, answer.text("notice"), answer.text("reference"), record))
    else:
        _show(image or (record.path or record.image if record else command[0]), action, answer, record)
    return int(action is Action.BLOCK)


def _action(answer: Message) -> Action:
    try:
        return Action.parse(answer.text("action"))
    except KeyError as error:
        raise ProtocolError(
            f"check: the agent decided {answer.text('action')!r}, which is no action"
        ) from error


def _record(answer: Message) -> AuditRecord | None:
    """Return the record of this decision; None where the agent gives none."""
    body = answer.first("body")
    return decode(body, Detail, "check").record if body else None


def _show(image: str, action: Action, answer: Message, record: AuditRecord | None) -> None:
    """Print the notice as a launch would see it, or one line where a launch would see nothing."""
    from sifgate.render.decisions import verdict_line

    notice = answer.text("notice")
    if notice:
        print(printable(notice.rstrip("\n"), newlines=True))
    print(verdict_line(image, action, record, answer.text("reference")), file=sys.stdout)
