# SPDX-License-Identifier: Apache-2.0
"""Applies a policy to a standing, a launch and a moment; pure; gate, CLI, report and tests all use this one.

Order: built-in suppressions, then what the state or cause asks for, then the rules, then the worst action,
then the mode's cap. Aliases are normalised before, by the server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timezone
from operator import attrgetter

from sifgate.model.decision import Action, Decision, Reason
from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.conditions.family import TIER, Group, Situation, worst
from sifgate.policy.document import Policy, Rule, Stance
from sifgate.policy.states import standing_reasons
from sifgate.policy.suppress import partition


def evaluate(policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime) -> Decision:
    """Return the decision at `now`, which must know its time zone (ValueError otherwise)."""
    if now.tzinfo is None:
        raise ValueError("the moment of a decision must have a time zone")
    scope = policy.scope_of(launch)
    stance = policy.stance if scope is None else scope.stance
    findings = () if standing.verdict is None else standing.verdict.findings
    counted, suppressed = partition(findings, kernel_headers=policy.kernel_headers)
    groups = _grouped(counted, _attributes(policy))
    reasons = standing_reasons(stance, standing) + _injection_reasons(stance, launch)
    undecided: list[str] = []
    valid_until = ""
    if standing.verdict is not None:
        situation = Situation(standing.verdict, launch, now.astimezone(timezone.utc), groups)
        reasons += _rule_reasons(policy, stance, situation, undecided)
        valid_until = _next_clock(policy, situation)
    reasons.sort(key=lambda reason: -reason.action)
    would_be = max((reason.action for reason in reasons), default=Action.ALLOW)
    total, clearable = _counterfactual(groups)
    return Decision(
        action=stance.mode.cap(would_be),
        would_be=would_be,
        reasons=tuple(reasons),
        suppressed=len(suppressed),
        mode=stance.mode.value,
        policy_digest=policy.digest,
        valid_until=valid_until,
        contact=policy.contact,
        scope="" if scope is None else scope.id,
        total=total,
        clearable=clearable,
        undecided=tuple(undecided),
    )


def _rule_reasons(policy: Policy, stance: Stance, situation: Situation, undecided: list[str]) -> list[Reason]:
    """Return a reason per rule that matched, or the default's; ids of undecided rules go to `undecided`."""
    reasons = []
    for rule in policy.rules:
        match = rule.when.match(situation, unknown_counts=rule.unknown_counts)
        if match.skipped:
            undecided.append(rule.id)
        if match.met:
            reasons.append(_rule_reason(rule, stance, situation, match.groups))
    if not reasons and stance.default_action is not Action.ALLOW:
        message = "no rule of the policy matches the image"
        reasons.append(Reason(rule="default_action", action=stance.default_action, message=message))
    return reasons


def _rule_reason(rule: Rule, stance: Stance, situation: Situation, groups: tuple[Group, ...]) -> Reason:
    count = len(frozenset[str]().union(*(group.vulnerabilities for group in groups)))
    return Reason(
        rule=rule.id,
        action=rule.action_in(stance).at(situation.now),
        message=rule.when.say(situation, count),
        findings=worst(groups),
        count=count,
        note=rule.message,
    )


def _injection_reasons(stance: Stance, launch: LaunchEvent) -> list[Reason]:
    if not launch.content_injected or stance.content_injected is Action.ALLOW:
        return []
    message = "an overlay or bind replaces parts of the image, which are not judged"
    return [Reason(rule="content_injected", action=stance.content_injected, message=message)]


def _attributes(policy: Policy) -> tuple[str, ...]:
    """Return what tells groups apart: what the rules read, and what ranks findings and tells whether a fix helps."""
    return tuple(sorted(TIER.union(*(rule.when.reads() for rule in policy.rules))))


def _grouped(findings: Iterable[Finding], attributes: tuple[str, ...]) -> tuple[Group, ...]:
    """Return the findings in groups with equal values of `attributes`, so that each is judged once."""
    groups: defaultdict[object, list[Finding]] = defaultdict(list)
    profile = attrgetter(*attributes)
    for finding in findings:
        groups[profile(finding)].append(finding)
    return tuple(map(Group, groups.values()))


def _counterfactual(groups: Iterable[Group]) -> tuple[int, int]:
    """Return how many vulnerabilities there are, and how many have a fix in every package that has them."""
    everything: set[str] = set()
    staying: set[str] = set()
    for group in groups:
        everything |= group.vulnerabilities
        if not group.sample.fixable:
            staying |= group.vulnerabilities
    return len(everything), len(everything) - len(staying)


def _next_clock(policy: Policy, situation: Situation) -> str:
    ahead = (at for rule in policy.rules for at in rule.when.clocks(situation) if at > situation.now)
    first = min(ahead, default=None)
    return "" if first is None else first.isoformat().replace("+00:00", "Z")
