# SPDX-License-Identifier: Apache-2.0
"""`support_ended: true`: the distribution has ended security support for this very package."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node


class SupportEndedCondition(Condition, frozen=True):
    """Whether the package gets no security support any more, or, with `false`, still gets it."""

    key = "support_ended"
    of_findings = True

    wanted: bool

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> SupportEndedCondition:
        """Return the condition for `true` or `false`."""
        del vocabulary
        return cls(wanted=node.boolean())

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether support is as wanted; unknown where no table speaks of the package's distribution."""
        del situation
        if finding.support_ended is None:
            return Truth.UNKNOWN
        return Truth.of(finding.support_ended is self.wanted)

    def reads(self) -> frozenset[str]:
        """Return `support_ended`."""
        return frozenset({"support_ended"})

    def phrase(self, situation: Situation) -> Phrase:
        """Return `in packages without security support`, or the opposite."""
        del situation
        return Phrase(after=f"in packages {'without' if self.wanted else 'with'} security support")
