# SPDX-License-Identifier: Apache-2.0
"""One rule applied to one image: what it says, and what grace and missing dates keep from it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sifgate.model.decision import Action, Reason
from sifgate.policy.conditions.family import Group, Situation, worst
from sifgate.policy.conditions.when import Match
from sifgate.policy.document import Rule, Stance
from sifgate.policy.grace import Phase
from sifgate.policy.schedule import Schedule

_WORDS = {Action.LOG: "recorded", Action.WARN: "warned of", Action.BLOCK: "refused"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a rule."""

    rule: Rule
    schedule: Schedule
    """Its actions by date, in this scope."""
    match: Match
    situation: Situation
    """What it was asked about: without the findings that are in grace."""
    waiting: tuple[Group, ...] = ()
    """The findings that are in grace and do not count for it yet, whether they would meet it or not."""
    undecided: bool = False

    @property
    def action(self) -> Action:
        """Return what it asks for at this moment."""
        return self.schedule.at(self.situation.now)

    def reason(self) -> Reason:
        """Return what is said of a rule that is met."""
        count = distinct(self.match.groups)
        return Reason(
            rule=self.rule.id,
            action=self.action,
            message=self.rule.when.say(self.situation, count),
            findings=worst(self.match.groups),
            count=count,
            note=self.rule.message,
            clock=self.promotion(),
        )

    def promotion(self) -> str:
        """Return when more is asked for, in words; empty: never."""
        step = self.schedule.ahead(self.situation.now)
        if step is None or step.action is self.action:
            return ""
        return f"{_WORDS[step.action]} from {step.day.isoformat()}"

    def in_grace(self) -> tuple[Group, ...]:
        """Return the findings that would meet the rule but for their grace."""
        if not self.waiting:
            return ()
        waiting = set(map(id, self.waiting))
        groups = self.situation.groups + self.waiting
        later = _asked(self.rule, _with_groups(self.situation, groups))
        return tuple(group for group in later.groups if id(group) in waiting)

    def grace_ends(self) -> datetime | None:
        """Return when the first of the findings that are in grace begins to count; None where none is."""
        grace = self.rule.grace
        if grace is None:
            return None
        texts = (
            getattr(finding, grace.after.value) for group in self.in_grace() for finding in group.findings
        )
        return min((end for text in texts if (end := grace.ends(text)) is not None), default=None)


def outcome(rule: Rule, stance: Stance, situation: Situation) -> Outcome:
    """Return what comes of a rule: a finding whose date is not known counts only with `on_unknown: match`."""
    schedule = rule.action_in(stance)
    if rule.grace is None:
        match = _asked(rule, situation)
        return Outcome(rule, schedule, match, situation, undecided=match.skipped)
    phases = rule.grace.split(situation)
    counted, dateless = phases[Phase.OVER], phases[Phase.UNKNOWN]
    if rule.unknown_counts:
        counted, dateless = counted + dateless, ()
    asked = _with_groups(situation, counted)
    match = _asked(rule, asked)
    undecided = match.skipped
    if dateless:
        perhaps = _asked(rule, _with_groups(situation, counted + dateless))
        undecided = perhaps.skipped or len(perhaps.groups) > len(match.groups) or perhaps.met > match.met
    return Outcome(rule, schedule, match, asked, waiting=phases[Phase.RUNNING], undecided=undecided)


def distinct(groups: Iterable[Group]) -> int:
    """Return how many vulnerabilities groups hold."""
    return len(frozenset[str]().union(*(group.vulnerabilities for group in groups)))


def _asked(rule: Rule, situation: Situation) -> Match:
    return rule.when.match(situation, unknown_counts=rule.unknown_counts)


def _with_groups(situation: Situation, groups: tuple[Group, ...]) -> Situation:
    """Return the situation with fewer findings, and nothing remembered of the other ones."""
    if groups == situation.groups:
        return situation
    return replace(situation, groups=groups, _made={})
