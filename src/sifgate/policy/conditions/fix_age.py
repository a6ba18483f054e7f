# SPDX-License-Identifier: Apache-2.0
"""`fix_age: {for: ">= 90d"}`, `{within: 7d}`: how long a fix has been known."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.policy.conditions.family import Condition, Phrase, Situation
from sifgate.policy.conditions.finding_date import DateCondition, read_span
from sifgate.yamlnode import Node


class FixAgeCondition(DateCondition, frozen=True):
    """Whether a fix has been known for at least so many days, or for less."""

    key = "fix_age"

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> FixAgeCondition:
        """Return the condition for `for` or `within`."""
        del vocabulary
        _, days, within = read_span(node)
        return cls(days=days, within=within)

    @property
    def attribute(self) -> str:
        """Return `fix_available`."""
        return "fix_available"

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `that were fixed at least 90 days ago`."""
        del situation
        return Phrase(after=f"that were {self.words('fixed')}")
