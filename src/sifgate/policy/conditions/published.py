# SPDX-License-Identifier: Apache-2.0
"""`published: {for: ">= 30d"}`, `{within: 7d}`: how long the vulnerability has been public."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.policy.conditions.family import Condition, Phrase, Situation
from sifgate.policy.conditions.finding_date import DateCondition, read_span
from sifgate.yamlnode import Node


class PublishedCondition(DateCondition, frozen=True):
    """Whether it was published at least so many days ago, or less."""

    key = "published"

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> PublishedCondition:
        """Return the condition for `for` or `within`."""
        del vocabulary
        _, days, within = read_span(node)
        return cls(days=days, within=within)

    @property
    def attribute(self) -> str:
        """Return `published`."""
        return "published"

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `that were published at least 30 days ago`."""
        del situation
        return Phrase(after=f"that were {self.words('published')}")
