# SPDX-License-Identifier: Apache-2.0
"""`scan_state: [unsupported, partial]`: what is known of the image."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.model.verdict import ScanState
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node

STATES = tuple(state.value for state in ScanState)


class ScanStateCondition(Condition, frozen=True):
    """Whether the image's state is one of those named; true or false also where nobody has scanned it."""

    key = "scan_state"
    of_findings = False
    of_verdict = False

    states: tuple[ScanState, ...]
    """In the order of the design."""

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> ScanStateCondition:
        """Return the condition for one state or a list of them."""
        del vocabulary
        named = set(node.one_or_more(_state))
        return cls(states=tuple(state for state in ScanState if state.value in named))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the state is one of those named."""
        del finding
        return Truth.of(_actual(situation) in self.states)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `the scan state is partial`."""
        return Phrase(tail=f"the scan state is {_actual(situation).value}")


def _actual(situation: Situation) -> ScanState:
    return situation.verdict.state if situation.state is None else situation.state


def _state(node: Node) -> str:
    return node.choice(STATES)
