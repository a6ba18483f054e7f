# SPDX-License-Identifier: Apache-2.0
"""Recorded launches as rows that sort by what was judged: only what a decision reads, and for whom it counts.

A row is `standing TAB launch TAB time TAB action`, JSON without line ends or tabs of its own. Rows of one verdict lie
together after sorting, so that each verdict is read once; rows of equal launches too, so that each is judged once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

import msgspec

from sifgate.audit.record import AuditRecord
from sifgate.model.image import ImageFacts
from sifgate.model.launch import Grant

STANDING = ("verdict", "state", "cause", "unscannable", "fingerprint")
LAUNCH = (
    "door", "image", "path", "image_kind", "uid", "user", "groups", "trusted", "partition", "account", "qos",
    "reservation", "content_injected", "facts", "grant", "budget_spent", "raw",
)  # fmt: skip


class _Line(msgspec.Struct, frozen=True):
    """The fields of a record that count here; the decoder passes over all others."""

    time: str
    door: str
    action: str
    outcome: str = "decided"
    verdict: str = ""
    state: str = ""
    cause: str = ""
    unscannable: str = ""
    fingerprint: str = ""
    image: str = ""
    path: str = ""
    image_kind: str = "path"
    uid: int = -1
    user: str = ""
    groups: tuple[str, ...] = ()
    trusted: bool = False
    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    content_injected: tuple[str, ...] = ()
    facts: ImageFacts | None = None
    grant: Grant | None = None
    budget_spent: bool = False
    raw: dict[str, str] = {}


class Row(NamedTuple):
    """The parts of a row."""

    standing: bytes
    launch: bytes
    time: bytes
    action: bytes
    """What was done."""


class Intake:
    """Makes rows of the lines of audit logs, and counts what is none."""

    def __init__(self, since: str = "", until: str = "") -> None:
        """Take launches recorded from `since` on and before `until` (ISO times, UTC; empty: no bound)."""
        self._since = since
        self._until = until or "~"
        self.unreadable = 0
        """Lines that hold no record."""
        self.first = ""
        self.last = ""
        """Times of the oldest and the newest launch."""

    def rows(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a row, newline included, for each launch; what was only asked or judged again later is none."""
        decode = msgspec.json.Decoder(_Line).decode
        encode = msgspec.json.Encoder().encode
        standing, launch = attrgetter(*STANDING), attrgetter(*LAUNCH)
        for text in lines:
            try:
                line = decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.unreadable += 1
                continue
            time = line.time
            if line.outcome != "decided" or not self._since <= time < self._until:
                continue
            self.first = min(self.first or time, time)
            self.last = max(self.last, time)
            parts = (encode(standing(line)), encode(launch(line)), encode(time), encode(line.action))
            yield b"\t".join(parts) + b"\n"


def split(row: bytes) -> Row:
    """Return the parts of a row."""
    return Row(*row[:-1].split(b"\t"))


def record_of(row: Row) -> AuditRecord:
    """Return the part of a record that a row keeps; raises ValueError where it holds none."""
    judged = msgspec.json.decode(row.standing, type=tuple[str, str, str, str, str])
    launch = msgspec.json.decode(row.launch, type=list[object])
    fields = dict(zip(LAUNCH, launch, strict=True)) | dict(zip(STANDING, judged, strict=True))
    time, action = (msgspec.json.decode(part, type=str) for part in (row.time, row.action))
    return msgspec.convert({"id": "", "node": "", "time": time, "action": action, **fields}, AuditRecord)
