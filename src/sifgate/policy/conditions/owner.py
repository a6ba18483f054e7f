# SPDX-License-Identifier: Apache-2.0
"""`owner: [root, images]`: whose file the image is."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node, quoted

MAX_NAME = 128
_PATTERN = frozenset("*?[]")


class OwnerCondition(Condition, frozen=True):
    """Whether the file belongs to one of these users; names are exact, a number stands for a user without a name."""

    key = "owner"
    of_findings = False
    of_verdict = False

    names: tuple[str, ...]

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> OwnerCondition:
        """Return the condition for one name or a list of them."""
        del vocabulary
        return cls(names=tuple(sorted(set(node.one_or_more(_name)))))

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the owner is one of those named; unknown where the owner is."""
        del finding
        owner = situation.launch.image.owner
        return Truth.of(owner in self.names) if owner else Truth.UNKNOWN

    def launch_fields(self) -> frozenset[str]:
        """Return `image.owner`."""
        return frozenset({"image.owner"})

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `the image belongs to alice`."""
        owner = situation.launch.image.owner
        return Phrase(tail=f"the image belongs to {owner}" if owner else "the image's owner is not known")


def _name(node: Node) -> str:
    text = node.text(maximum=MAX_NAME)
    if not _PATTERN.isdisjoint(text):
        raise node.error(f"names are exact here, got {quoted(text)}")
    return text
