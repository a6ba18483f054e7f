# SPDX-License-Identifier: Apache-2.0
"""What conditions on a date of a finding have in common: `{for: ">= 30d"}` or `{within: 30d}`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from sifgate.model.finding import Finding
from sifgate.policy.conditions.clock import END, border, day_of, newest_day, read_days
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Condition, Situation, Truth
from sifgate.yamlnode import Node


class DateCondition(Condition, frozen=True):
    """Whether a date lies at least so many days back, or less; both change at 00:00 UTC of the same day."""

    of_findings = True

    days: int
    within: bool = False
    """Whether fewer days are asked for, rather than as many or more."""

    @property
    def attribute(self) -> str:
        """Return the attribute of a finding that holds the date."""
        raise NotImplementedError

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the date fits at this moment; unknown where there is none."""
        return self._answers(situation.now)(getattr(finding, self.attribute))

    def reads(self) -> frozenset[str]:
        """Return the attribute with the date."""
        return frozenset({self.attribute})

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return on which side of the border the date stands at this moment."""
        return (Column((self.attribute,), self._answers(situation.now)),)

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the borders that are still ahead of the dates among the findings."""
        newest = newest_day(situation.now, self.days)
        days = map(day_of, situation.values(self.attribute))
        borders = {border(day, self.days) for day in days if day is not None and day > newest}
        return tuple(sorted(borders - {END}))

    def words(self, verb: str) -> str:
        """Return e.g. `published at least 30 days ago`, for the verb `published`."""
        unit = "day" if self.days == 1 else "days"
        if self.within:
            return f"{verb} less than {self.days} {unit} ago"
        return f"{verb} at least {self.days} {unit} ago"

    def _answers(self, now: datetime) -> Callable[[str], Truth]:
        """Return what tells the answer for a date at an instant, quick for thousands of them."""
        newest = newest_day(now, self.days)
        older, newer = (Truth.FALSE, Truth.TRUE) if self.within else (Truth.TRUE, Truth.FALSE)

        def answer(text: str) -> Truth:
            day = day_of(text)
            if day is None:
                return Truth.UNKNOWN
            return older if day <= newest else newer

        return answer


def read_span(node: Node, extra: Iterable[str] = ()) -> tuple[dict[str, Node], int, bool]:
    """Return the fields of a mapping with either `for` or `within`, the days, and whether it is `within`."""
    fields = node.mapping(keys=("for", "within", *extra), required=extra)
    if "for" in fields and "within" in fields:
        raise node.key_error("within", '"for" and "within" exclude each other')
    if "for" not in fields and "within" not in fields:
        raise node.error('asks nothing: it needs "for" or "within"')
    within = "within" in fields
    days = fields["within" if within else "for"]
    if within and read_days(days) == 0:
        raise days.error("nothing is less than 0 days ago")
    return fields, read_days(days), within
