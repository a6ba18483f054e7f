# SPDX-License-Identifier: Apache-2.0
"""`kev: true`: CISA lists the vulnerability as exploited."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node


class KevCondition(Condition, frozen=True):
    """Whether the vulnerability is in the catalogue of known exploited ones, or, with `false`, is not."""

    key = "kev"
    of_findings = True

    wanted: bool

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> KevCondition:
        """Return the condition for `true` or `false`."""
        del vocabulary
        return cls(wanted=node.boolean())

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the finding is listed as wanted; without a catalogue nothing is known of that."""
        if not finding.kev and not situation.verdict.generation.kev:
            return Truth.UNKNOWN
        return Truth.of(finding.kev is self.wanted)

    def reads(self) -> frozenset[str]:
        """Return `kev`."""
        return frozenset({"kev"})

    def phrase(self, situation: Situation) -> Phrase:
        """Return `known-exploited`, or its opposite."""
        del situation
        return Phrase(before="known-exploited" if self.wanted else "not known-exploited")
