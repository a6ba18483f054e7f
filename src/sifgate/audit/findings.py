# SPDX-License-Identifier: Apache-2.0
"""What a check of a log found: problems, what the log tells of itself, and numbers that are missing or come late."""

from __future__ import annotations

import msgspec

from sifgate.audit.chain import Place

SHOWN = 100
"""Problems and notes that are listed; all are counted."""
GAPS = 1000
"""Runs of missing records in which later ones are looked for."""


class Problem(msgspec.Struct, frozen=True):
    """One line, and what is wrong with it or told by it."""

    kind: str
    """`altered`, `missing`, `reordered`, `foreign` (no line of the chain), `unreadable` (a file).

    Of a note the chain's event, such as `torn`.
    """
    file: str
    line: int
    """From 1; for `missing` the line before which records are missing, or the last one of the log."""
    seq: int
    time: str
    detail: str


class Verified(msgspec.Struct):
    """The outcome of a check."""

    records: int = 0
    """Lines of the chain."""
    before_chain: int = 0
    """Lines from before there was a chain: nothing can be said of them."""
    chains: dict[str, tuple[int, int]] = {}
    """First and last number of each chain that was read."""
    first: Problem | None = None
    """The first problem in the log's order."""
    problems: list[Problem] = []
    problem_count: int = 0
    notes: list[Problem] = []
    """Discontinuities that the log tells of itself."""
    note_count: int = 0
    heads_matched: int = 0
    heads_older: int = 0
    """Heads of records that are not there: rotated away, or not among the files given."""
    vouched: int = 0
    """The newest record that a matching head vouches for, and with it all before."""

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong; what the log tells of itself is not."""
        return self.problem_count == 0

    def add(self, problem: Problem) -> None:
        """Count a problem, and list it while there is room."""
        self.problem_count += 1
        if len(self.problems) < SHOWN:
            self.problems.append(problem)

    def note(self, note: Problem) -> None:
        """Count a note, and list it while there is room."""
        self.note_count += 1
        if len(self.notes) < SHOWN:
            self.notes.append(note)

    def closed(self) -> Verified:
        """Return it with its problems in the log's order."""
        order: dict[str, int] = {}
        for problem in self.problems:
            order.setdefault(problem.file, len(order))
        self.problems.sort(key=lambda problem: (order[problem.file], problem.line))
        self.first = self.problems[0] if self.problems else None
        return self


class _Gap(msgspec.Struct):
    first: int
    last: int
    left: int
    """Of its records, how many were not found later either."""
    at: Problem


class Gaps:
    """Numbers that were passed over, and records that come after all: out of their order rather than missing."""

    def __init__(self, found: Verified) -> None:
        self._found = found
        self._gaps: list[_Gap] = []

    def begin(self, file: str, line: int, place: Place) -> None:
        """Take note that a log begins with this record: those before it may be gone, but must not come later."""
        self._gaps.append(_Gap(1, place.seq - 1, 1, Problem("pruned", file, line, 1, place.time, "")))

    def missing(self, file: str, line: int, place: Place, first: int) -> None:
        """Take note that the numbers from `first` to the one before `place` were passed over."""
        last = place.seq - 1
        gap = _Gap(first, last, last - first + 1, Problem("missing", file, line, first, place.time, ""))
        if len(self._gaps) < GAPS:
            self._gaps.append(gap)
        else:
            self._say_missing(gap)

    def late(self, file: str, line: int, place: Place, behind: int) -> None:
        """Judge a record that stands behind one with a higher number."""
        gap = next((gap for gap in self._gaps if gap.first <= place.seq <= gap.last), None)
        if gap is None or gap.left == 0:
            text = f"a second record {place.seq}, behind record {behind}"
            self._found.add(Problem("foreign", file, line, place.seq, place.time, text))
            return
        gap.left -= 1
        if gap.at.kind != "reordered":
            text = f"record {place.seq} stands behind record {behind}"
            gap.at = Problem("reordered", file, line, place.seq, place.time, text)
            self._found.add(gap.at)

    def end(self) -> None:
        """Say what is missing for good."""
        for gap in self._gaps:
            if gap.left and gap.at.kind != "pruned":
                self._say_missing(gap)

    def _say_missing(self, gap: _Gap) -> None:
        count = f"record {gap.first}" if gap.first == gap.last else f"records {gap.first} to {gap.last}"
        text = f"{count}: {gap.left} of them missing" if gap.last > gap.first else f"{count} is missing"
        self._found.add(msgspec.structs.replace(gap.at, kind="missing", seq=gap.first, detail=text))
