# SPDX-License-Identifier: Apache-2.0
"""`scan_age: "> 7d"`: how long ago the image was scanned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sifgate.policy.conditions.age import AgeCondition, say_instant
from sifgate.policy.conditions.clock import instant_of
from sifgate.policy.conditions.comparison import read_age
from sifgate.policy.conditions.family import Condition, Phrase, Situation
from sifgate.yamlnode import Node


class ScanAgeCondition(AgeCondition, frozen=True):
    """Whether the verdict was made so long ago."""

    key = "scan_age"

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> ScanAgeCondition:
        """Return the condition for a comparison with a length of time."""
        del vocabulary
        return cls(age=read_age(node))

    def since(self, situation: Situation) -> datetime | None:
        """Return when the image was scanned."""
        return instant_of(situation.verdict.scanned_at)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `the image was scanned on 2026-08-01 12:30 UTC`."""
        since = self.since(situation)
        known = f"was scanned on {say_instant(since)}" if since else "has no known time of its scan"
        return Phrase(tail=f"the image {known}")
