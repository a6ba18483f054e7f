# SPDX-License-Identifier: Apache-2.0
"""`epss: ">= 0.10"`: how likely exploitation is within 30 days, as FIRST computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.comparison import Comparison, read_number
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node

PLACES = 9
"""Decimal places of a border; FIRST publishes at most nine."""


class EpssCondition(Condition, frozen=True):
    """Whether the probability stands on the right side of a border; unknown where none was computed."""

    key = "epss"
    of_findings = True

    probability: Comparison

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> EpssCondition:
        """Return the condition for a comparison with a number from 0 to 1."""
        del vocabulary
        return cls(probability=read_number(node, maximum=1, places=PLACES))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the probability fits."""
        del situation
        return self._answers()(finding.epss)

    def reads(self) -> frozenset[str]:
        """Return `epss`."""
        return frozenset({"epss"})

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return on which side of the border the probability stands."""
        del situation
        return (Column(("epss",), self._answers()),)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `with an EPSS probability of at least 0.1`."""
        del situation
        return Phrase(after=f"with an EPSS probability of {self.probability.say('{:g}'.format)}")

    def _answers(self) -> Callable[[float], Truth]:
        """Return what tells the answer for a probability, quick for thousands of them."""
        holds = self.probability.checker()

        def answer(value: float) -> Truth:
            if not 0 <= value <= 1:
                return Truth.UNKNOWN
            return Truth.TRUE if holds(value) else Truth.FALSE

        return answer
