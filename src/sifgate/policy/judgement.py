# SPDX-License-Identifier: Apache-2.0
"""The one pass of judgement: a policy applied to a standing, a launch and a moment; pure.

The order is fixed (docs/policy.md): severity by source, VEX, built-in suppressions, exceptions, trust, clocks, rules,
states and failures and ages, the worst action, ceilings, break-glass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from sifgate.model.decision import Action, Decision, Reason
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import ScanState, Standing, Verdict
from sifgate.policy.ages import freshness_clocks, freshness_reasons
from sifgate.policy.aside import SetAside, set_aside
from sifgate.policy.break_glass import ALARM as BREAK_GLASS
from sifgate.policy.break_glass import grant_clocks, in_force
from sifgate.policy.conditions.column import Column, plain
from sifgate.policy.conditions.family import TIER, Group, Situation
from sifgate.policy.conditions.grouping import grouped
from sifgate.policy.document import Policy, Scope, Stance
from sifgate.policy.outcome import Outcome, outcome
from sifgate.policy.states import BUDGET, cause_reasons, effective_state, state_reasons
from sifgate.policy.trust import Skip, TrustedStore


@dataclass(frozen=True, slots=True)
class Judgement:
    """The decision, and how it came about."""

    decision: Decision
    scope: Scope | None
    stance: Stance
    store: TrustedStore | None
    aside: SetAside
    situation: Situation
    outcomes: tuple[Outcome, ...]
    """Of every rule that was asked, in their order; none where a trusted store answers for the image."""
    capped: Action
    """After the ceilings of mode and enforcement point, before break-glass."""


def judge(policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime) -> Judgement:
    """Return the judgement at `now`, which must know its time zone (ValueError otherwise)."""
    if now.tzinfo is None:
        raise ValueError("the moment of a decision must have a time zone")
    now = now.astimezone(timezone.utc)
    scope = policy.scope_of(launch)
    stance = policy.stance if scope is None else scope.stance
    store = policy.store_of(launch)
    aside = SetAside((), ()) if standing.verdict is None else set_aside(policy, standing.verdict, launch, now)
    situation = _situation(policy, standing, launch, now, aside)
    outcomes = () if store is not None else _outcomes(policy, stance, situation)
    reasons = _reasons(policy, stance, store, standing, situation)
    reasons += _said(stance, outcomes, judged=situation.scanned and store is None)
    reasons.sort(key=lambda reason: -reason.action)
    would_be = max((reason.action for reason in reasons), default=Action.ALLOW)
    capped = stance.cap(would_be, launch.door)
    granted = capped is Action.BLOCK and in_force(policy.break_glass, launch.grant, now)
    total, clearable = _counterfactual(situation.groups)
    decision = Decision(
        action=Action.WARN if granted else capped,
        would_be=would_be,
        reasons=tuple(reasons),
        suppressed=aside.hidden,
        mode=stance.mode.value,
        policy_digest=policy.digest,
        valid_until=_next(_clocks(policy, stance, situation), now),
        contact=policy.contact,
        scope="" if scope is None else scope.id,
        total=total,
        clearable=clearable,
        undecided=tuple(each.rule.id for each in outcomes if each.undecided),
        aside=aside.asides(),
        trust="" if store is None else store.id,
        grant=launch.grant.id if granted and launch.grant is not None else "",
        alarms=_alarms(policy, standing, launch, granted=granted),
    )
    return Judgement(decision, scope, stance, store, aside, situation, outcomes, capped)


def _situation(
    policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime, aside: SetAside
) -> Situation:
    """Return what the rules are asked about, the findings that count in groups that no rule can tell apart."""
    state = effective_state(standing)
    verdict = standing.verdict or Verdict(fingerprint=standing.fingerprint, state=state or ScanState.FAILED)
    bare = Situation(
        verdict=verdict,
        launch=launch,
        now=now,
        extended_support=policy.extended_support,
        state=state,
        scanned=standing.verdict is not None,
    )
    groups = grouped(aside.counted, columns(policy, bare))
    return Situation(
        verdict=verdict,
        launch=launch,
        now=now,
        groups=groups,
        extended_support=policy.extended_support,
        state=state,
        scanned=bare.scanned,
    )


def columns(policy: Policy, situation: Situation) -> Iterator[Column]:
    """Yield what tells groups apart: what the rules and clocks ask, and what ranks findings."""
    yield from plain(TIER)
    for rule in policy.rules:
        yield from rule.when.columns(situation)
        if rule.grace is not None:
            yield rule.grace.column(situation.now)


def _outcomes(policy: Policy, stance: Stance, situation: Situation) -> tuple[Outcome, ...]:
    """Return what comes of each rule; of an image without a verdict only rules that need none are asked."""
    asked = (rule for rule in policy.rules if situation.scanned or rule.when.about_unscanned)
    return tuple(outcome(rule, stance, situation) for rule in asked)


def _said(stance: Stance, outcomes: Iterable[Outcome], *, judged: bool) -> list[Reason]:
    """Return a reason for each rule that is met, or the default's where the rules were asked and none is."""
    reasons = [each.reason() for each in outcomes if each.match.met]
    if not reasons and judged and stance.default_action is not Action.ALLOW:
        message = "no rule of the policy matches the image"
        reasons.append(Reason(rule="default_action", action=stance.default_action, message=message))
    return reasons


def _reasons(
    policy: Policy,
    stance: Stance,
    store: TrustedStore | None,
    standing: Standing,
    situation: Situation,
) -> list[Reason]:
    """Return what failures, states, ages and injected content ask for."""
    launch = situation.launch
    budget = policy.fail_open_budget if launch.budget_spent else None
    reasons = cause_reasons(stance, standing, budget)
    if store is None or store.skip is not Skip.ALL:
        reasons += state_reasons(stance, standing)
        if situation.scanned:
            reasons += freshness_reasons(stance.freshness, situation.verdict, situation.now)
    if launch.content_injected and stance.content_injected is not Action.ALLOW:
        message = "an overlay or bind replaces parts of the image, which are not judged"
        reasons.append(Reason(rule="content_injected", action=stance.content_injected, message=message))
    return reasons


def _alarms(policy: Policy, standing: Standing, launch: LaunchEvent, *, granted: bool) -> tuple[str, ...]:
    spent = policy.fail_open_budget is not None and launch.budget_spent and standing.cause is not None
    return tuple(name for name, rings in ((BREAK_GLASS, granted), (BUDGET, spent)) if rings)


def _counterfactual(groups: Iterable[Group]) -> tuple[int, int]:
    """Return how many vulnerabilities there are, and how many have a fix in every package that has them."""
    everything: set[str] = set()
    staying: set[str] = set()
    for group in groups:
        everything |= group.vulnerabilities
        if not group.sample.fixable:
            staying |= group.vulnerabilities
    return len(everything), len(everything) - len(staying)


def _clocks(policy: Policy, stance: Stance, situation: Situation) -> Iterator[datetime]:
    """Yield instants, past ones too, at which the decision may change with nothing but time."""
    yield from grant_clocks(policy.break_glass, situation.launch.grant)
    for rule in policy.rules:
        step = rule.action_in(stance).ahead(situation.now)
        if step is not None:
            yield step.instant
        yield from rule.when.clocks(situation)
        if rule.grace is not None:
            yield from rule.grace.clocks(situation)
    if situation.scanned:
        yield from freshness_clocks(stance.freshness, situation.verdict)
        yield from policy.active_exceptions.clocks(situation.now)


def _next(clocks: Iterable[datetime], now: datetime) -> str:
    first = min((at for at in clocks if at > now), default=None)
    return "" if first is None else first.isoformat().replace("+00:00", "Z")
