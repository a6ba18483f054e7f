# SPDX-License-Identifier: Apache-2.0
"""The contract of a condition family: how it is read, what it looks at, what it answers.

To add one: a file beside this with one subclass of `Condition`, and one line in `vocabulary.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from heapq import nsmallest
from itertools import chain
from operator import attrgetter
from typing import ClassVar, cast

import msgspec

from sifgate.model.decision import MAX_SHOWN
from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import ScanState, Verdict
from sifgate.policy.conditions.column import Column, plain
from sifgate.yamlnode import Node


class Truth(IntEnum):
    """Three-valued logic (Kleene): `min` is and, `max` is or, `2 - x` is not."""

    FALSE = 0
    UNKNOWN = 1
    """The data that the condition needs are missing; the rule's `on_unknown` decides."""
    TRUE = 2

    __hash__ = int.__hash__  # an enumeration's own is slow, and thousands are put into sets

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


@dataclass(frozen=True)
class Situation:
    """What is judged: the facts, the launch, and the moment (UTC)."""

    verdict: Verdict
    """Empty but for its state where the image has none."""
    launch: LaunchEvent
    now: datetime
    groups: tuple[Group, ...] = ()
    """The findings that count, grouped by what the policy's rules read of them (`grouping.grouped`)."""
    extended_support: tuple[str, ...] = ()
    """Distributions (`ID` of os-release) whose paid support the site has: `elts` counts for these."""
    state: ScanState | None = None
    """What is known of the image; None: the verdict's own state."""
    scanned: bool = True
    """Whether there is a verdict; without one nothing is known of findings, coverage and distribution."""
    _made: dict[object, object] = field(default_factory=dict, repr=False, compare=False)

    def values(self, attribute: str) -> frozenset[str]:
        """Return the different values that the findings have of an attribute that is text, collected once."""
        found = self._made.get(attribute)
        if found is None:
            get = attrgetter(attribute)
            every = (map(get, group.findings) for group in self.groups)
            found = self._made[attribute] = frozenset(chain.from_iterable(every))
        return cast("frozenset[str]", found)

    def truth_of(self, condition: Condition) -> Truth:
        """Return the answer of a condition about the image, asked once however many findings want it."""
        key = id(condition)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = condition.test(NO_FINDING, self)
        return cast("Truth", found)


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
    """Whether it may ask about single findings; otherwise it is about the image as a whole."""
    of_verdict: ClassVar[bool] = True
    """Whether it needs a verdict; otherwise it can hold for an image that nobody has scanned."""
    counts_findings: ClassVar[bool] = False
    """Whether a condition about the image can become true by one more finding."""

    @property
    def parts_inside(self) -> tuple[Condition, ...]:
        """Return the conditions that it holds inside itself."""
        return ()

    @property
    def per_finding(self) -> bool:
        """Whether its answer depends on the finding that it is asked about."""
        return self.of_findings

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

    def columns(self, situation: Situation) -> tuple[Column, ...]:
        """Return what tells findings apart for `test`: what it reads, or coarser keys that give the same answers.

        Asked before there are groups.
        """
        del situation
        return plain(self.reads())

    def bounds(self, situation: Situation) -> tuple[Truth, Truth]:
        """Return the least and the greatest answer that any finding whatsoever could get."""
        if self.per_finding:
            return Truth.FALSE, Truth.TRUE
        truth = situation.truth_of(self)
        return truth, truth

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of the launch that `test` looks at, e.g. `job.partition`."""
        return frozenset()

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the instants at which the answer changes with nothing but time; past ones may be among them."""
        del situation
        return ()

    def witnesses(self, situation: Situation) -> tuple[Group, ...]:
        """Return the findings that a condition about the image speaks of, to be shown with the rule."""
        del situation
        return ()

    def phrase(self, situation: Situation) -> Phrase:
        """Return the condition in words, for the notice.

        About findings: words around the noun. About the image: the fact itself, true whatever the condition asks.
        """
        raise NotImplementedError


NO_FINDING = Finding(vulnerability="", package="", version="")
"""Asked about where a condition about the image wants a finding."""


def inside(conditions: Iterable[Condition]) -> Iterator[Condition]:
    """Yield conditions and all that they hold inside."""
    for condition in conditions:
        yield condition
        yield from inside(condition.parts_inside)
