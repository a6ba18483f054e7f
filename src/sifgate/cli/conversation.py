# SPDX-License-Identifier: Apache-2.0
"""What the verbs share when they talk to the agent: the client, the progress line, the two formats."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sifgate.audit.record import AuditRecord
from sifgate.client import Client
from sifgate.config import Places
from sifgate.errors import ProtocolError, Unresolved
from sifgate.model.verdict import Standing
from sifgate.origin.environment import relevant
from sifgate.render.escape import printable

T = TypeVar("T")
Fields = list[tuple[str, bytes]]
DEFAULT_WAIT = 120.0
"""Seconds that the command line waits for a scan: a cold image takes a few, a queue of them more."""
SIGN_OF_LIFE = 10.0
"""Seconds of silence that people bear before they are told that the agent does not answer."""


class Explanation(msgspec.Struct, frozen=True):
    """What the agent answers to `explain` (docs/protocol.md §1)."""

    record: AuditRecord
    standing: Standing | None = None
    """What was judged, if the node still has exactly that."""


def client(places: Places) -> Client:
    """Return the client of the agent of `places`; for a user without one, of the machine's."""
    own = places.run / "agent.sock"
    if os.geteuid() != 0 and places == Places.here():
        own = choose(own, Places.of_system().run / "agent.sock")
    return Client(str(own), sign_of_life=SIGN_OF_LIFE)


def choose(own: Path, machine: Path) -> Path:
    """Return the socket to ask: the user's own agent if it listens, else the machine's, which judges his launches."""
    if own.exists() and listens(own):
        return own
    return machine if machine.exists() or not own.exists() else own


def listens(path: Path) -> bool:
    """Return whether somebody accepts connections at a socket; a killed agent leaves one behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--format`."""
    parser.add_argument(
        "--format",
        choices=("table", "json"),
        default="table",
        help="form of the output (default: %(default)s)",
    )


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add `--wait`."""
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=DEFAULT_WAIT,
        metavar="SECONDS",
        help="how long to wait for a scan that is not known yet (default: %(default)g)",
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86_400:  # noqa: PLR2004 - a day
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds between 0 and 86400")
    return value


def image_fields(image: str) -> Fields:
    """Return the fields that name an image; raises Unresolved where this user cannot open it."""
    raw = os.fsencode(image)
    try:
        os.close(os.open(raw, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "the name holds a NUL byte"
        raise Unresolved(
            f"{image}: {reason}", hint="name a SIF file, a squashfs image or a sandbox directory"
        ) from error
    return [("path", raw), *place_fields()]


def place_fields() -> Fields:
    """Return the fields that every question from a terminal has."""
    return [("door", b"cli"), ("cwd", os.fsencode(Path.cwd()))]


def environment_fields(environment: Mapping[str, str]) -> Fields:
    """Return the variables that change what a container runtime starts."""
    return [("env", os.fsencode(f"{name}={value}")) for name, value in environment.items() if relevant(name)]


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with the agent's progress text on a terminal's stderr; nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what)) as status:
        yield lambda text: status.update(Text(printable(text) or what))


def decode(body: bytes, kind: type[T], verb: str) -> T:
    """Return the agent's answer as a value; raises ProtocolError where it is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(
            f"{verb}: the agent's answer cannot be read: {error}",
            hint="agent and command line may be of different versions: restart the agent",
        ) from error


def print_json(document: Any) -> None:
    """Print a document as JSON: ASCII only, so that no byte of it can move a terminal."""
    from sifgate.render.documents import dump

    print(dump(document))
