# SPDX-License-Identifier: Apache-2.0
"""`fixable: true`: a fixed version of the package is known."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.column import FIXABLE, Column
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node


class FixableCondition(Condition, frozen=True):
    """Whether there is a fix, or, with `false`, whether there is none."""

    key = "fixable"
    of_findings = True

    wanted: bool

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> FixableCondition:
        """Return the condition for `true` or `false`."""
        del vocabulary
        return cls(wanted=node.boolean())

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the finding has a fix as wanted."""
        del situation
        return Truth.of(finding.fixable is self.wanted)

    def reads(self) -> frozenset[str]:
        """Return `fixable`."""
        return frozenset({"fixable"})

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return whether there is a fix."""
        del situation
        return (FIXABLE,)

    def phrase(self, situation: Situation) -> Phrase:
        """Return `with a fix` or `without a fix`."""
        del situation
        return Phrase(after="with a fix" if self.wanted else "without a fix")
