# SPDX-License-Identifier: Apache-2.0
"""`advisories_age: "> 48h"`: how old the newest advisory data are that the image was judged by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sifgate.policy.conditions.age import AgeCondition, say_instant
from sifgate.policy.conditions.clock import instant_of
from sifgate.policy.conditions.comparison import read_age
from sifgate.policy.conditions.family import Condition, Phrase, Situation
from sifgate.yamlnode import Node


class AdvisoriesAgeCondition(AgeCondition, frozen=True):
    """Whether the advisory data are so old."""

    key = "advisories_age"

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> AdvisoriesAgeCondition:
        """Return the condition for a comparison with a length of time."""
        del vocabulary
        return cls(age=read_age(node))

    def since(self, situation: Situation) -> datetime | None:
        """Return the time of the newest advisory data."""
        return instant_of(situation.verdict.generation.advisories)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `the advisories are of 2026-08-01 12:30 UTC`."""
        since = self.since(situation)
        return Phrase(
            tail=f"the advisories are of {say_instant(since)}" if since else "the advisories have no date"
        )
