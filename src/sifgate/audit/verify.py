# SPDX-License-Identifier: Apache-2.0
"""Reads a node's log from its oldest file to its newest and names the first record that is not as it was written.

Streaming; what it remembers is bounded. A line is bound by the line after it, so an altered one is known when its
successor was read, and the last one only by a head that was kept elsewhere (docs/audit.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from sifgate.audit.chain import BEGUN, FOREIGN, TORN, Link, Place, head_of, place_of
from sifgate.audit.files import lines, torn_end
from sifgate.audit.findings import Gaps, Problem, Verified
from sifgate.audit.record import CHAIN
from sifgate.errors import AuditError

STRANGERS = 1000
"""Lines without a place that are remembered until the next record."""


class _At(msgspec.Struct, frozen=True):
    """One line: where it stands, and its place in the chain."""

    file: str
    line: int
    place: Place = Place()


_NOWHERE = _At("", 0)


def sorted_files(files: Iterable[Path]) -> list[Path]:
    """Return the files in the order of their first records, whatever their names and times of change.

    Raises AuditError for one that cannot be read.
    """
    firsts = []
    for file in files:
        places = (place_of(line) for _, line in lines(file))
        firsts.append((file, next((place for place in places if place is not None), Place(time="~"))))
    born = {"": ""}
    for _, place in firsts:
        born[place.chain] = min(born.get(place.chain, place.time), place.time)
    firsts.sort(key=lambda pair: (born[pair[1].chain], pair[1].seq, pair[1].time))
    return [file for file, _ in firsts]


def verify(files: Iterable[Path], heads: Iterable[Link] = ()) -> Verified:
    """Return what is wrong with the log that `files` are, in their order; `heads` were kept outside of it."""
    run = Run(heads)
    for file in files:
        try:
            for number, line in lines(file):
                run.see(str(file), number, line)
            run.is_torn = torn_end(file)
        except AuditError as error:
            run.stop(str(file), str(error))
    return run.end()


class Run:
    """One pass over a log: `see` each line in order, then `end`."""

    def __init__(self, heads: Iterable[Link] = ()) -> None:
        self.found = Verified()
        self.is_torn = False
        """Whether the newest line has no end (yet)."""
        self._heads: dict[str, dict[int, str]] = {}
        for head in heads:
            self._heads.setdefault(head.chain, {})[head.seq] = head.head
        self._last = _NOWHERE
        self._hash = ""
        self._doubted: _At | None = None
        """The line before `_last`, where `_last` is not bound to it: one of the two was altered."""
        self._strange: list[_At] = []
        self._gaps = Gaps(self.found)

    def see(self, file: str, number: int, line: bytes) -> None:
        """Look at one line."""
        place = place_of(line)
        if place is None or not place.chain or place.seq < 1:
            self._stranger(_At(file, number))
            return
        at = _At(file, number, place)
        self.found.records += 1
        if place.outcome == CHAIN and place.event != BEGUN:
            detail = msgspec.json.decode(line, type=_Detail).detail
            self._note(place.event, at, detail)
        digest = head_of(line)
        self._check_head(at, digest)
        if self._last is _NOWHERE:
            self._begin(at)
            self._take(at, digest)
        elif place.prev == self._hash:
            self._linked(at, digest)
        elif place.chain != self._last.place.chain:
            self._another_chain(at, digest)
        else:
            self._unlinked(at, digest)

    def stop(self, file: str, why: str) -> None:
        """Take note of a file that cannot be read to its end."""
        self.found.add(Problem("unreadable", file, 0, 0, "", why))

    def end(self) -> Verified:
        """Return what was found, heads beyond the end included."""
        if self._doubted is not None:
            self._complain("altered", self._doubted, "the record after it, the last one, is not bound to it")
        if self._strange and self.is_torn:
            self._note(
                TORN, self._strange.pop(), "the last line has no end: it is being written, or was torn"
            )
        for stranger in self._strange:
            self._complain("foreign", stranger, _FOREIGN)
        self._gaps.end()
        for name, heads in self._heads.items():
            first, last = self.found.chains.get(name, (max(heads) + 1, max(heads)))
            self.found.heads_older += sum(seq < first for seq in heads)
            if max(heads) > last:
                text = f"the log ends at record {last}, but record {max(heads)} was vouched for"
                self.found.add(Problem("missing", self._last.file, self._last.line, last + 1, "", text))
        return self.found.closed()

    def _stranger(self, at: _At) -> None:
        """Remember a line without a place until it is known what stands behind it."""
        if self._last is _NOWHERE:
            self.found.before_chain += 1
            self._strange = [*self._strange[-1:], at]
        elif len(self._strange) < STRANGERS:
            self._strange.append(at)

    def _begin(self, at: _At) -> None:
        """Judge what stands before the first record of the chain that is there."""
        strangers, self._strange = self._strange, []
        self._gaps.begin(at.file, at.line, at.place)
        if strangers and at.place.seq > 1 and at.place.outcome != CHAIN:
            count = min(at.place.seq - 1, len(strangers))
            self.found.before_chain -= count
            place = Place(seq=at.place.seq - count)
            self._complain("altered", msgspec.structs.replace(strangers[-count], place=place), _NO_LONGER)

    def _linked(self, at: _At, digest: str) -> None:
        """Take a record that is bound to the one before it."""
        if self._doubted is not None:
            self._complain("altered", self._doubted, "the record after it was bound to another content")
            self._doubted = None
        expected = self._last.place.seq + 1
        if (at.place.chain, at.place.seq) != (self._last.place.chain, expected):
            self._complain("altered", at, f"its number or chain was changed: it was record {expected}")
            at = msgspec.structs.replace(
                at, place=msgspec.structs.replace(at.place, chain=self._last.place.chain, seq=expected)
            )
        self._strangers(at, gap=0)
        self._take(at, digest)

    def _unlinked(self, at: _At, digest: str) -> None:
        """Judge a record of the same chain that is not bound to the one before it."""
        gap = at.place.seq - self._last.place.seq - 1
        if gap < 0:
            self._gaps.late(at.file, at.line, at.place, behind=self._last.place.seq)
            return
        if self._doubted is not None:
            self._complain(
                "altered", self._last, "neither the record before nor the one after is bound to it"
            )
            self._doubted = None
        elif gap == 0:
            self._doubted = self._last
        self._strangers(at, gap=gap)
        self._take(at, digest)

    def _another_chain(self, at: _At, digest: str) -> None:
        """Judge the end of one chain and the beginning of another."""
        if self._doubted is not None:
            self._complain("altered", self._doubted, "the record after it is not bound to it")
            self._doubted = None
        self._strangers(at, gap=0)
        text = f"chain {self._last.place.chain} ends at record {self._last.place.seq} and another begins"
        if at.place.seq == 1:
            self._note(BEGUN, at, text)
        else:
            self._complain("missing", at, f"{text}, with record {at.place.seq}")
        self._take(at, digest)

    def _strangers(self, at: _At, gap: int) -> None:
        """Judge the lines without a place that stand before a record, and the numbers that are missing there."""
        strangers, self._strange = self._strange, []
        told = at.place.outcome == CHAIN and at.place.event != BEGUN
        first = at.place.seq - gap
        if strangers and gap and not told:
            self._complain(
                "altered",
                msgspec.structs.replace(strangers[0], place=Place(seq=first)),
                _NO_LONGER + (f" ({gap} from here are not)" if gap > 1 else ""),
            )
            return
        if not (told and at.place.event in (TORN, FOREIGN)) and not gap:
            for stranger in strangers:
                self._complain("foreign", stranger, _FOREIGN)
        if gap:
            self._gaps.missing(at.file, at.line, at.place, first)

    def _check_head(self, at: _At, digest: str) -> None:
        kept = self._heads.get(at.place.chain, {}).get(at.place.seq)
        if kept == digest:
            self.found.heads_matched += 1
            self.found.vouched = max(self.found.vouched, at.place.seq)
        elif kept is not None:
            since = self.found.vouched + 1
            text = f"records {since} to {at.place.seq}: one or more are not those that were vouched for"
            self._complain("altered", at, text)

    def _take(self, at: _At, digest: str) -> None:
        self._last, self._hash = at, digest
        first, last = self.found.chains.get(at.place.chain, (at.place.seq, 0))
        self.found.chains[at.place.chain] = (first, max(last, at.place.seq))

    def _complain(self, kind: str, at: _At, text: str) -> None:
        self.found.add(Problem(kind, at.file, at.line, at.place.seq, at.place.time, text))

    def _note(self, event: str, at: _At, text: str) -> None:
        self.found.note(Problem(event, at.file, at.line, at.place.seq, at.place.time, text))


_NO_LONGER = "no longer a record of the chain"
_FOREIGN = "not a line of the chain, and no record tells of it"


class _Detail(msgspec.Struct):
    detail: str = ""
