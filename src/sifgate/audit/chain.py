# SPDX-License-Identifier: Apache-2.0
"""The hash chain of a node's log: each line carries its number and the SHA-256 of the line before.

One chain per node, for good: it goes on across restarts and rotations from the last whole line. Whatever breaks the
log (a torn line, a truncation, lines that are gone or foreign) is a record of its own in the chain, with the outcome
`chain`. The anchor, a small file beside the agent's state, remembers how far the chain was, so that lines that vanish
while no agent runs are noticed.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from sifgate.audit.files import compressed, history, lines, tail, torn_end
from sifgate.audit.notes import chain_record
from sifgate.audit.record import encode, record_id
from sifgate.errors import AuditError

BEGUN = "begun"
"""The first record of a chain."""
TORN = "torn"
"""A line was written in part: power loss, or a full disk."""
TRUNCATED = "truncated"
"""The file became shorter while it was written: copytruncate, or somebody's hand."""
FOREIGN = "foreign"
"""Somebody else wrote into the file."""
MISSING = "missing"
"""Lines that had been written are not there."""
ALTERED = "altered"
"""The last line is not the one that had been written."""


class Link(msgspec.Struct, frozen=True):
    """Where a chain stands, or one line's place in it."""

    chain: str = ""
    seq: int = 0
    head: str = ""
    """SHA-256 (hex) of line `seq`."""
    time: str = ""


class Place(msgspec.Struct, frozen=True):
    """What of a line the chain is made of."""

    chain: str = ""
    seq: int = 0
    prev: str = ""
    outcome: str = "decided"
    event: str = ""
    time: str = ""
    id: str = ""


class Linked(NamedTuple):
    """Lines ready to be written, and where the chain stands once they are."""

    data: bytes
    seq: int
    head: str


_BEHIND = 1000
"""Lines behind the last one of the chain that are counted in a packed file."""
_PLACES = msgspec.json.Decoder(Place)


def place_of(line: bytes) -> Place | None:
    """Return a line's place; None for a line that is no record."""
    try:
        return _PLACES.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def head_of(line: bytes) -> str:
    """Return the SHA-256 of a line without its newline."""
    return hashlib.sha256(line).hexdigest()


class Chain:
    """The writer's end of the chain; used by `AuditLog` only, from one thread."""

    def __init__(self, node: str, anchor: Path) -> None:
        self.node = node
        self.stand = Link()
        """How far the chain is; replaced whole, so that other threads may read it."""
        self.discontinuities = 0
        """Since start, the beginning of a chain left out."""
        self._anchor = anchor
        self._anchored = Link()
        self._events: list[bytes] = []

    def resume(self, log: Path) -> None:
        """Find the last whole line of the log and its predecessors; what does not fit is noted for the next write."""
        self._events.clear()
        anchor = self._read_anchor()
        last, after = _last_line(log)
        if after:
            self._say(FOREIGN, f"{after} lines that are torn or not of the chain stand behind its last line")
        if last is None and not anchor.chain:
            self.stand = Link(chain=os.urandom(8).hex())
            self._say(BEGUN, "the first record of this chain: nothing of an older one was found", quiet=True)
        elif last is None or (anchor.chain and (last.chain != anchor.chain or last.seq < anchor.seq)):
            first = last.seq + 1 if last is not None and last.chain == anchor.chain else 1
            self.stand = anchor
            self._say(MISSING, f"records {first} to {anchor.seq} had been written and are not there")
        elif last.seq == anchor.seq and last.head != anchor.head:
            self.stand = anchor
            self._say(ALTERED, f"record {last.seq} is not the one that had been written")
        else:
            self.stand = last

    def link(self, lines_: bytes) -> Linked:
        """Return the lines with their places; `written` makes it so once they are in the file."""
        seq, head = self.stand.seq, self.stand.head
        linked = []
        chain = self.stand.chain
        for line in (*self._events, *lines_.split(b"\n")):
            if not line:
                continue
            seq += 1
            place = f',"chain":"{chain}","seq":{seq},"prev":"{head}"}}'
            whole = line[:-1] + place.encode()
            head = hashlib.sha256(whole).hexdigest()
            linked.append(whole)
        linked.append(b"")
        return Linked(b"\n".join(linked), seq, head)

    def written(self, linked: Linked) -> None:
        """Take note that all of it is in the file."""
        self.stand = Link(self.stand.chain, linked.seq, linked.head)
        if self._events:
            self._events.clear()

    def torn(self, data: bytes, written: int) -> None:
        """Take note that only `written` bytes of `data` got into the file."""
        end = data.rfind(b"\n", 0, written) + 1
        whole = data[:end].strip(b"\n").split(b"\n")
        place = place_of(whole[-1])
        count = 0
        if place is not None and place.chain:
            count = place.seq - self.stand.seq
            self.stand = Link(place.chain, place.seq, head_of(whole[-1]))
            del self._events[:count]
        part = data[end:written].strip(b"\n")
        if part or count:
            self._say(
                TORN,
                f"{count} records of a turn were written, and {len(part)} bytes of the next ({_shown(part)}): "
                "what they decided was answered as audit_unwritable",
            )

    def found_torn(self, part: bytes) -> None:
        """Take note of a torn line at the end of the file that was opened."""
        self._say(TORN, f"{len(part)} bytes of a line stand at the end of the file: {_shown(part)}")

    def changed(self, expected: int, found: int) -> None:
        """Take note that the file has not the size that it was given."""
        event = TRUNCATED if found < expected else FOREIGN
        self._say(event, f"the file had {expected} bytes and has {found}")

    def opened(self, size: int, last: bytes) -> None:
        """Take note of what stands in a file that was opened later than the first."""
        if size and head_of(last) != self.stand.head:
            self._say(FOREIGN, f"{size} bytes stood in the file before its first record")

    def keep(self) -> None:
        """Write the anchor, whole or not at all; raises OSError."""
        stand = self.stand
        if stand == self._anchored or not stand.seq:
            return
        temporary = self._anchor.with_name(f"{self._anchor.name}.{threading.get_ident()}")
        temporary.write_bytes(msgspec.json.encode(stand))
        temporary.replace(self._anchor)
        self._anchored = stand

    def _read_anchor(self) -> Link:
        try:
            return msgspec.json.decode(self._anchor.read_bytes(), type=Link)
        except FileNotFoundError:
            return Link()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._say(MISSING, "the file that remembers how far the chain was cannot be read")
            return Link()

    def _say(self, event: str, detail: str, *, quiet: bool = False) -> None:
        now = time.time()
        self.discontinuities += not quiet
        made = chain_record(
            record_id(now, os.urandom(6)), now=now, node=self.node, event=event, detail=detail
        )
        self._events.append(encode(made)[:-1])


def _shown(part: bytes) -> str:
    return f"SHA-256 {head_of(part)}"


def _last_line(log: Path) -> tuple[Link | None, int]:
    """Return the chain's last line in the newest file that has one, and how many foreign lines stand behind it."""
    for file in _newest_first(log):
        try:
            torn = file != log and torn_end(file)  # rotated away before it was closed
            behind = _from_the_end(file)
        except AuditError:
            continue  # damaged: the anchor tells whether anything is missing, `verify` names the file
        for after, line in enumerate(behind, start=int(torn)):
            place = place_of(line)
            if place is not None and place.chain:
                return Link(place.chain, place.seq, head_of(line)), after
    return None, 0


def _newest_first(log: Path) -> list[Path]:
    """Return the files by their first records: packing may have given an old one a new date."""
    firsts: dict[Path, tuple[int, str]] = {}
    for file in history(log, newest_first=True):
        try:
            places = (place_of(line) for _, line in lines(file))
            first = next((place for place in places if place is not None), Place())
        except AuditError:
            first = Place()  # `verify` names it
        firsts[file] = (first.seq, first.time)
    older = sorted((file for file in firsts if file != log), key=lambda file: firsts[file], reverse=True)
    return [file for file in firsts if file == log] + older


def _from_the_end(file: Path) -> list[bytes]:
    if not compressed(file):
        return tail(file)
    found: list[bytes] = []
    for _, line in lines(file):
        place = place_of(line)
        if place is not None and place.chain:
            found.clear()
        if len(found) < _BEHIND:
            found.append(line)
    return found[::-1]
