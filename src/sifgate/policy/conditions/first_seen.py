# SPDX-License-Identifier: Apache-2.0
"""`first_seen: {of: site, for: ">= 14d"}`: how long the site, or this image, has been known to have it."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.policy.conditions.family import Condition, Phrase, Situation
from sifgate.policy.conditions.finding_date import DateCondition, read_span
from sifgate.yamlnode import Node

OF = {"image": "first_seen_image", "site": "first_seen_site"}
"""What has seen it, and the attribute of a finding that says when."""


class FirstSeenCondition(DateCondition, frozen=True, kw_only=True):
    """Whether it was first seen at least so many days ago, or less: in this image, or in any image of the site."""

    key = "first_seen"

    of: str

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> FirstSeenCondition:
        """Return the condition for `of`, and `for` or `within`."""
        del vocabulary
        fields, days, within = read_span(node, extra=("of",))
        return cls(days=days, within=within, of=fields["of"].choice(OF))

    @property
    def attribute(self) -> str:
        """Return `first_seen_image` or `first_seen_site`."""
        return OF[self.of]

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `that were first seen on this site at least 14 days ago`."""
        del situation
        place = "in this image" if self.of == "image" else "on this site"
        return Phrase(after=f"that were {self.words(f'first seen {place}')}")
