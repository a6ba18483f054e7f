# SPDX-License-Identifier: Apache-2.0
"""`count: {severity: ">= high", fixable: true, over: 25}`: more than so many distinct vulnerabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sifgate.model.finding import Finding
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Condition, Group, Phrase, Situation, Truth
from sifgate.policy.conditions.phrases import joined
from sifgate.yamlnode import Node

MAX_LIMIT = 1_000_000


class CountCondition(Condition, frozen=True):
    """Whether more than `over` distinct vulnerabilities meet the conditions beside it, if any."""

    key = "count"
    of_findings = False
    counts_findings = True

    over: int
    parts: tuple[Condition, ...] = ()

    @property
    def parts_inside(self) -> tuple[Condition, ...]:
        """Return the conditions beside `over`."""
        return self.parts

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> CountCondition:
        """Return the condition; only families about findings may stand inside."""
        inner = {key: family for key, family in vocabulary.items() if family.of_findings}
        fields = node.mapping(keys=(*inner, "over"), required=("over",))
        over = fields.pop("over").integer(minimum=0, maximum=MAX_LIMIT)
        parts = (inner[key].parse(value, inner) for key, value in sorted(fields.items()))
        return cls(over=over, parts=tuple(parts))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the limit is passed; unknown if only findings that lack data would pass it.

        Without a verdict it is unknown: nobody has looked for findings.
        """
        del finding
        if not situation.scanned:
            return Truth.UNKNOWN
        if self._is_passed(self._at_least(Truth.TRUE, situation)):
            return Truth.TRUE
        possible = self._is_passed(self._at_least(Truth.UNKNOWN, situation))
        return Truth.UNKNOWN if possible else Truth.FALSE

    def reads(self) -> frozenset[str]:
        """Return what the conditions inside read."""
        return frozenset[str]().union(*(part.reads() for part in self.parts))

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return the columns of the conditions inside."""
        return tuple(column for part in self.parts for column in part.columns(situation))

    def launch_fields(self) -> frozenset[str]:
        """Return what the conditions inside read of the launch."""
        return frozenset[str]().union(*(part.launch_fields() for part in self.parts))

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the clocks of the conditions inside."""
        return tuple(instant for part in self.parts for instant in part.clocks(situation))

    def witnesses(self, situation: Situation) -> tuple[Group, ...]:
        """Return the findings that were counted; with those that lack data where only they pass the limit."""
        certain = tuple(self._at_least(Truth.TRUE, situation))
        return certain if self._is_passed(certain) else tuple(self._at_least(Truth.UNKNOWN, situation))

    def phrase(self, situation: Situation) -> Phrase:
        """Return what was counted, and the limit."""
        phrase = joined(part.phrase(situation) for part in self.parts)
        tail = f"more than {self.over}" if self.over else ""
        return Phrase(before=phrase.before, after=phrase.after, tail=tail)

    def _at_least(self, truth: Truth, situation: Situation) -> Iterable[Group]:
        for group in situation.groups:
            if all(part.test(group.sample, situation) >= truth for part in self.parts):
                yield group

    def _is_passed(self, groups: Iterable[Group]) -> bool:
        """Return whether groups hold more distinct vulnerabilities than the limit; stops as soon as they do."""
        seen: set[str] = set()
        for group in groups:
            seen |= group.vulnerabilities
            if len(seen) > self.over:
                return True
        return False
