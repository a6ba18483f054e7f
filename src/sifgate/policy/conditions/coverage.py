# SPDX-License-Identifier: Apache-2.0
"""`coverage: {advisories: false}`, `{managers: [dpkg]}`: what the scanner could see of the image."""

from __future__ import annotations

from collections.abc import Mapping

from sifgate.model.finding import Finding
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.policy.conditions.package import MANAGERS
from sifgate.yamlnode import Node


class CoverageCondition(Condition, frozen=True):
    """Whether every field given fits; unknown for an image that nobody has scanned."""

    key = "coverage"
    of_findings = False

    advisories: bool | None = None
    """Whether advisories for the distribution were loaded."""
    distribution: bool | None = None
    """Whether the distribution was recognised."""
    managers: tuple[str, ...] = ()
    """Managers, of one of which packages were found."""

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> CoverageCondition:
        """Return the condition; an empty mapping is an error, it would mean every image."""
        del vocabulary
        fields = node.mapping(keys=("advisories", "distribution", "managers"))
        if not fields:
            raise node.error("asks nothing")
        return cls(
            advisories=fields["advisories"].boolean() if "advisories" in fields else None,
            distribution=fields["distribution"].boolean() if "distribution" in fields else None,
            managers=tuple(sorted(set(fields["managers"].one_or_more(_manager))))
            if "managers" in fields
            else (),
        )

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the coverage fits."""
        del finding
        if not situation.scanned:
            return Truth.UNKNOWN
        seen = situation.verdict.coverage
        return Truth.of(
            self.advisories in {None, seen.advisories}
            and self.distribution in {None, bool(seen.distribution)}
            and (not self.managers or any(seen.packages.get(word) for word in self.managers))
        )

    def phrase(self, situation: Situation) -> Phrase:
        """Return what was seen, e.g. `no advisories are loaded for the distribution`."""
        seen = situation.verdict.coverage
        facts = []
        if self.advisories is not None:
            facts.append(f"{'' if seen.advisories else 'no '}advisories are loaded for the distribution")
        if self.distribution is not None:
            facts.append(
                f"the distribution is {seen.distribution}"
                if seen.distribution
                else "the distribution is not recognised"
            )
        if self.managers:
            found = [word for word in self.managers if seen.packages.get(word)]
            facts.append(f"it has {', '.join(found) if found else 'no ' + ', '.join(self.managers)} packages")
        return Phrase(tail=", ".join(facts))


def _manager(node: Node) -> str:
    return node.choice(MANAGERS)
