# SPDX-License-Identifier: Apache-2.0
"""A rule's `when`: every condition in it must hold."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Condition, Group, Situation, Truth, inside
from sifgate.policy.conditions.phrases import joined, sentence
from sifgate.policy.conditions.tree import read_parts
from sifgate.policy.conditions.vocabulary import VOCABULARY
from sifgate.yamlnode import Node


class Match(msgspec.Struct, frozen=True):
    """What a `when` says of a situation."""

    met: bool
    groups: tuple[Group, ...] = ()
    """The findings that speak for it, where it is about findings; none where the image alone decides."""
    skipped: bool = False
    """Whether something could not be judged for want of data, and was taken as not met."""


class When(msgspec.Struct, frozen=True):
    """Conditions about the image, tested once, and conditions that one finding must meet together."""

    image: tuple[Condition, ...] = ()
    findings: tuple[Condition, ...] = ()

    @property
    def parts(self) -> tuple[Condition, ...]:
        """Return all conditions."""
        return (*self.findings, *self.image)

    @property
    def about_findings(self) -> bool:
        """Whether another finding can make it true."""
        return bool(self.findings) or any(part.counts_findings for part in inside(self.image))

    @property
    def about_unscanned(self) -> bool:
        """Whether it may hold for an image without a verdict: a condition in it needs none."""
        return any(not part.of_verdict for part in inside(self.parts))

    def match(self, situation: Situation, *, unknown_counts: bool) -> Match:
        """Return what holds; `unknown_counts` (`on_unknown: match`) takes as met what cannot be known."""
        needed = Truth.UNKNOWN if unknown_counts else Truth.TRUE
        of_image = min((situation.truth_of(part) for part in self.image), default=Truth.TRUE)
        if of_image is Truth.FALSE:
            return Match(met=False)
        certain = min((of_image, *(part.bounds(situation)[0] for part in self.findings)))
        if certain >= needed:
            return Match(met=True, groups=self._witnesses(situation))
        truths = [(group, min(of_image, self._test(group, situation))) for group in self._asked(situation)]
        matched = tuple(group for group, truth in truths if truth >= needed)
        skipped = certain is Truth.UNKNOWN or any(truth is Truth.UNKNOWN for _, truth in truths)
        return Match(met=bool(matched), groups=matched, skipped=skipped and not unknown_counts)

    def say(self, situation: Situation, count: int) -> str:
        """Return the `when` as a sentence about `count` vulnerabilities that met it."""
        return sentence(joined(part.phrase(situation) for part in self.parts), count)

    def reads(self) -> frozenset[str]:
        """Return the attributes of findings that it looks at."""
        return frozenset[str]().union(*(part.reads() for part in self.parts))

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return what tells findings apart for it; asked before there are groups."""
        return tuple(column for part in self.parts for column in part.columns(situation))

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of the launch that it looks at."""
        return frozenset[str]().union(*(part.launch_fields() for part in self.parts))

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the instants at which its answer can change."""
        return tuple(at for part in self.parts for at in part.clocks(situation))

    def _asked(self, situation: Situation) -> tuple[Group, ...]:
        """Return the groups to ask about: none where no condition is about findings."""
        return situation.groups if self.findings else ()

    def _witnesses(self, situation: Situation) -> tuple[Group, ...]:
        """Return the findings that conditions about the image speak of, each once."""
        found = {id(group): group for part in self.parts for group in part.witnesses(situation)}
        return tuple(found.values())

    def _test(self, group: Group, situation: Situation) -> Truth:
        truth = Truth.TRUE
        for part in self.findings:
            truth = min(truth, part.test(group.sample, situation))
            if truth is Truth.FALSE:
                break
        return truth


def parse_when(node: Node) -> When:
    """Return the conditions that `node` states; an empty one is an error: it would match everything."""
    if not node.mapping():
        raise node.error("the rule is empty: it needs at least one condition")
    parts = read_parts(node, VOCABULARY)
    return When(
        image=tuple(part for part in parts if not part.per_finding),
        findings=tuple(part for part in parts if part.per_finding),
    )
