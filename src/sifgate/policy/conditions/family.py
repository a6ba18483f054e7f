# SPDX-License-Identifier: Apache-2.0
"""The contract of a condition family: how it is read, what it looks at, what it answers.

To add one: a file beside this with one subclass of `Condition`, and one line in `vocabulary.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from heapq import nsmallest
from itertools import chain
from typing import ClassVar

import msgspec

from sifgate.model.decision import MAX_SHOWN
from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Verdict
from sifgate.yamlnode import Node


class Truth(IntEnum):
    """Three-valued logic (Kleene): `min` is and, `max` is or, `2 - x` is not."""

    FALSE = 0
    UNKNOWN = 1
    """The data that the condition needs are missing; the rule's `on_unknown` decides."""
    TRUE = 2

    @classmethod
    def of(cls, value: bool) -> Truth:  # noqa: FBT001  # the conversion of a boolean takes a boolean
        """Return `TRUE` or `FALSE`."""
        return cls.TRUE if value else cls.FALSE


class Group:
    """Findings that no rule of the policy can tell apart; judged once, through any one of them."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    @property
    def sample(self) -> Finding:
        """Return the finding that stands for all."""
        return self.findings[0]

    @cached_property
    def vulnerabilities(self) -> frozenset[str]:
        """Return the distinct identifiers of the group."""
        return frozenset(finding.vulnerability for finding in self.findings)


TIER = frozenset({"kev", "severity", "fixable"})
"""What ranks findings first; groups never differ in these within themselves."""


def worst(groups: Iterable[Group]) -> tuple[Finding, ...]:
    """Return one finding for each of the `MAX_SHOWN` worst vulnerabilities: exploited, then severe, then fixable."""
    tiers: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        sample = group.sample
        tiers.setdefault((not sample.kev, -sample.severity, not sample.fixable), []).append(group)
    chosen: dict[str, Finding] = {}
    for _, members in sorted(tiers.items()):
        first: dict[str, Finding] = {}
        for finding in chain.from_iterable(group.findings for group in members):
            if finding.vulnerability not in chosen:
                first.setdefault(finding.vulnerability, finding)
        for finding in nsmallest(MAX_SHOWN - len(chosen), first.values(), key=_rank_in_tier):
            chosen[finding.vulnerability] = finding
        if len(chosen) == MAX_SHOWN:
            break
    return tuple(chosen.values())


def _rank_in_tier(finding: Finding) -> tuple[float, str]:
    return (-finding.cvss, finding.vulnerability)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is judged: the facts, the launch, and the moment (UTC)."""

    verdict: Verdict
    launch: LaunchEvent
    now: datetime
    groups: tuple[Group, ...]
    """The findings that count, grouped by what the policy's rules read of them."""


class Phrase(msgspec.Struct, frozen=True):
    """A condition in words: `2 [before] vulnerabilities [after], [tail]`."""

    before: str = ""
    after: str = ""
    tail: str = ""


class Condition(msgspec.Struct, frozen=True, tag=True):
    """One condition as read from a policy; compared and digested by its content."""

    key: ClassVar[str]
    """The word in `when`."""
    of_findings: ClassVar[bool]
    """Whether it asks about single findings; otherwise about the image as a whole."""
    counts_findings: ClassVar[bool] = False
    """Whether a condition about the image can become true by one more finding."""

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> Condition:
        """Return the condition that `node` states; `vocabulary` is for families that hold others."""
        raise NotImplementedError

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether it holds; families about the image ignore `finding`."""
        raise NotImplementedError

    def reads(self) -> frozenset[str]:
        """Return the attributes of findings that `test` looks at."""
        return frozenset()

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of the launch that `test` looks at, e.g. `job.partition`."""
        return frozenset()

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the instants, past ones too, at which the answer changes with nothing but time."""
        del situation
        return ()

    def witnesses(self, situation: Situation) -> tuple[Group, ...]:
        """Return the findings that a condition about the image speaks of, to be shown with the rule."""
        del situation
        return ()

    def phrase(self, situation: Situation) -> Phrase:
        """Return the condition in words, for the notice."""
        raise NotImplementedError
