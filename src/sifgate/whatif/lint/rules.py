# SPDX-License-Identifier: Apache-2.0
"""Rules that another one makes pointless, that can never match, or whose dates have all passed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sifgate.model.decision import Action
from sifgate.model.finding import Severity
from sifgate.model.verdict import ScanState
from sifgate.policy.conditions.fixable import FixableCondition
from sifgate.policy.conditions.kev import KevCondition
from sifgate.policy.conditions.scan_state import ScanStateCondition
from sifgate.policy.conditions.severity import SeverityCondition
from sifgate.policy.document import Policy, Rule
from sifgate.policy.grace import Clock, Grace
from sifgate.policy.schedule import Schedule
from sifgate.whatif.lint.complaint import Complaint, Weight
from sifgate.whatif.lint.implication import contradiction, flat, narrower
from sifgate.whatif.lint.places import Places

WITH_FINDINGS = frozenset({ScanState.KNOWN, ScanState.PARTIAL, ScanState.INCONSISTENT, ScanState.STALE})
"""States in which there is a verdict, whose findings rules can ask about."""


def check_rules(policy: Policy, places: Places, now: datetime) -> Iterator[Complaint]:
    """Yield what is wrong with each rule."""
    for rule in policy.rules:
        place = places.of("rules", rule.id)
        never = _never(policy, rule)
        if never:
            remedy = "correct its conditions, or take it out"
            yield Complaint(
                "rule-never-matches", Weight.ERROR, place, f"rule {rule.id} can never match: {never}", remedy
            )
        elif shadow := _shadow(policy, rule):
            text = f"rule {rule.id} changes nothing: wherever it matches, rule {shadow} asks for at least as much"
            yield Complaint(
                "rule-shadowed", Weight.WARNING, place, text, f"take it out, or make {shadow} narrower"
            )
        if _asks_nothing(policy, rule):
            text = f"rule {rule.id} asks for allow, which changes no decision"
            yield Complaint(
                "rule-allows", Weight.INFO, place, text, "take it out; exceptions and scopes loosen"
            )
        yield from _passed(rule.action, f"rule {rule.id}", place, now)
    for scope in policy.scopes:
        for name, schedule in scope.stance.rules.items():
            what = f"rule {name} in scope {scope.id}"
            yield from _passed(schedule, what, places.of("scopes", scope.id), now)


def _never(policy: Policy, rule: Rule) -> str:
    """Return why a rule can never match, in words; empty: it may."""
    found = "" if rule.unknown_counts else contradiction(rule.when)  # what is not known may meet both
    if found:
        return f"{found} exclude each other"
    parts = tuple(flat(rule.when.parts))
    states = [part for part in parts if isinstance(part, ScanStateCondition)]
    if rule.when.findings and any(not WITH_FINDINGS.intersection(part.states) for part in states):
        return "an image in that scan state has no findings"
    unfixed = any(isinstance(part, FixableCondition) and not part.wanted for part in parts)
    if rule.grace is not None and not rule.unknown_counts:
        if unfixed and rule.grace.after is Clock.FIX_AVAILABLE:
            return "grace counts from the fix, and it asks for findings without one"
        if rule.grace.after is Clock.KEV_ADDED and any(
            isinstance(part, KevCondition) and not part.wanted for part in parts
        ):
            return (
                "grace counts from the day of the KEV listing, and it asks for findings that are not listed"
            )
    if policy.severity.unknown_as is not Severity.UNKNOWN:
        for part in parts:
            if isinstance(part, SeverityCondition) and part.accepted == (Severity.UNKNOWN,):
                word = policy.severity.unknown_as.name.lower()
                return f"unknown severity counts as {word} (severity.unknown_as)"
    return ""


def _shadow(policy: Policy, rule: Rule) -> str:
    """Return the rule that asks for as much wherever this one matches; of two alike the first stays."""
    for other in policy.rules:
        if other is rule or not _covers(policy, other, rule):
            continue
        if _covers(policy, rule, other) and policy.rules.index(other) > policy.rules.index(rule):
            continue
        return other.id
    return ""


def _covers(policy: Policy, outer: Rule, inner: Rule) -> bool:
    if inner.unknown_counts and not outer.unknown_counts:
        return False
    if not _as_early(outer.grace, inner.grace) or not narrower(inner.when, outer.when):
        return False
    return all(_as_strict(outer.action_in(stance), inner.action_in(stance)) for stance in policy.stances())


def _as_early(outer: Grace | None, inner: Grace | None) -> bool:
    if outer is None:
        return True
    return inner is not None and outer.after is inner.after and outer.days <= inner.days


def _as_strict(outer: Schedule, inner: Schedule) -> bool:
    """Return whether one schedule asks for at least as much as the other on every day."""
    instants = [step.instant for step in (*outer.steps, *inner.steps)]
    return outer.now >= inner.now and all(outer.at(at) >= inner.at(at) for at in instants)


def _asks_nothing(policy: Policy, rule: Rule) -> bool:
    stances = policy.stances()
    return all(
        step is Action.ALLOW
        for stance in stances
        for step in (rule.action_in(stance).now, *(each.action for each in rule.action_in(stance).steps))
    )


def _passed(schedule: Schedule, what: str, place: str, now: datetime) -> Iterator[Complaint]:
    """Yield a complaint for dates of promotion that are over."""
    over = [step for step in schedule.steps if step.instant <= now]
    if not over:
        return
    last = over[-1]
    rest = len(schedule.steps) - len(over)
    if rest:
        text = f"{what}: {last.day} has passed, it asks for {last.action.word} since then"
        remedy = f"write now: {last.action.word}, and leave the dates that are still to come"
    else:
        text = f"{what}: all dates of its promotion have passed, the last on {last.day}"
        remedy = f"write action: {last.action.word}"
    yield Complaint("promotion-passed", Weight.INFO, place, text, remedy)
