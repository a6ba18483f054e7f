# SPDX-License-Identifier: Apache-2.0
"""A rule's `when`: every condition in it must hold."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sifgate.model.finding import Finding
from sifgate.policy.conditions.family import Condition, Group, Situation, Truth
from sifgate.policy.conditions.phrases import joined, sentence
from sifgate.policy.conditions.vocabulary import VOCABULARY
from sifgate.yamlnode import Node

_NO_FINDING = Finding(vulnerability="", package="", version="")


class Match(msgspec.Struct, frozen=True):
    """What a `when` says of a situation."""

    met: bool
    groups: tuple[Group, ...] = ()
    """The findings that speak for it, where it is about findings."""
    skipped: bool = False
    """Whether something could not be judged for want of data, and was taken as not met."""


class When(msgspec.Struct, frozen=True):
    """Conditions about the image, tested once, and conditions that one finding must meet together."""

    image: tuple[Condition, ...] = ()
    findings: tuple[Condition, ...] = ()

    @property
    def about_findings(self) -> bool:
        """Whether another finding can make it true."""
        return bool(self.findings) or any(part.counts_findings for part in self.image)

    def match(self, situation: Situation, *, unknown_counts: bool) -> Match:
        """Return what holds; `unknown_counts` (`on_unknown: match`) takes as met what cannot be known."""
        needed = Truth.UNKNOWN if unknown_counts else Truth.TRUE
        of_image = min((part.test(_NO_FINDING, situation) for part in self.image), default=Truth.TRUE)
        if of_image is Truth.FALSE:
            return Match(met=False)
        if not self.findings:
            met = of_image >= needed
            witnesses = tuple(group for part in self.image for group in part.witnesses(situation))
            return Match(met=met, groups=witnesses if met else (), skipped=not met)
        truths = [(group, min(of_image, self._test(group, situation))) for group in situation.groups]
        matched = tuple(group for group, truth in truths if truth >= needed)
        skipped = any(Truth.FALSE < truth < needed for _, truth in truths)
        return Match(met=bool(matched), groups=matched, skipped=skipped)

    def say(self, situation: Situation, count: int) -> str:
        """Return the `when` as a sentence about `count` vulnerabilities that met it."""
        parts = (part.phrase(situation) for part in (*self.findings, *self.image))
        return sentence(joined(parts), count)

    def reads(self) -> frozenset[str]:
        """Return the attributes of findings that it looks at."""
        return frozenset[str]().union(*(part.reads() for part in (*self.image, *self.findings)))

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of the launch that it looks at."""
        return frozenset[str]().union(*(part.launch_fields() for part in (*self.image, *self.findings)))

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the instants at which its answer can change."""
        return tuple(at for part in (*self.image, *self.findings) for at in part.clocks(situation))

    def _test(self, group: Group, situation: Situation) -> Truth:
        truth = Truth.TRUE
        for part in self.findings:
            truth = min(truth, part.test(group.sample, situation))
            if truth is Truth.FALSE:
                break
        return truth


def parse_when(node: Node) -> When:
    """Return the conditions that `node` states; an empty one is an error: it would match everything."""
    fields = node.mapping(keys=VOCABULARY)
    if not fields:
        raise node.error("the rule is empty: it needs at least one condition")
    parts = tuple(VOCABULARY[key].parse(value, VOCABULARY) for key, value in sorted(fields.items()))
    return When(
        image=tuple(part for part in parts if not part.of_findings),
        findings=tuple(part for part in parts if part.of_findings),
    )
