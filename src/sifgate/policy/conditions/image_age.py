# SPDX-License-Identifier: Apache-2.0
"""`image_age: ">= 365d"`: how long ago the image was built, by its owner's word."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sifgate.policy.conditions.age import AgeCondition
from sifgate.policy.conditions.clock import instant_of
from sifgate.policy.conditions.comparison import read_age
from sifgate.policy.conditions.family import Condition, Phrase, Situation
from sifgate.yamlnode import Node


class ImageAgeCondition(AgeCondition, frozen=True):
    """Whether the image was built so long ago; a time of building that is still ahead is none."""

    key = "image_age"
    of_verdict = False

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> ImageAgeCondition:
        """Return the condition for a comparison with a length of time."""
        del vocabulary
        return cls(age=read_age(node))

    def since(self, situation: Situation) -> datetime | None:
        """Return when the image says that it was built."""
        built = instant_of(situation.launch.image.created)
        return None if built is None or built > situation.now else built

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return when the age passes the border, and the time of building while it is ahead."""
        built = instant_of(situation.launch.image.created)
        if built is not None and built > situation.now:
            return (built,)
        return super().clocks(situation)

    def launch_fields(self) -> frozenset[str]:
        """Return `image.created`."""
        return frozenset({"image.created"})

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `the image says that it was built on 2025-06-01`."""
        since = self.since(situation)
        if since is None:
            return Phrase(tail="the image does not say when it was built")
        return Phrase(tail=f"the image says that it was built on {since:%Y-%m-%d}")
