# SPDX-License-Identifier: Apache-2.0
"""Says how a decision came about, rule by rule, from the very pass that makes it; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from enum import Enum
from itertools import chain

import msgspec

from sifgate.model.decision import Action, Aside, Decision
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.conditions.family import Group
from sifgate.policy.conditions.grouping import grouped
from sifgate.policy.document import Policy, Rule
from sifgate.policy.judgement import Judgement, columns, judge
from sifgate.policy.outcome import Outcome, distinct, outcome
from sifgate.policy.points import point_of
from sifgate.policy.settings import Metadata
from sifgate.policy.trust import Skip


class RuleState(str, Enum):
    """What came of a rule."""

    MATCHED = "matched"
    NOT_MATCHED = "not"
    UNKNOWN = "unknown"
    """Data are missing, and `on_unknown: skip` leaves them out."""
    IN_GRACE = "in grace"
    """It would match but for a grace period that runs."""
    NOT_ASKED = "not asked"
    """A trusted store answers for the image, or nothing is known that the rule could be asked about."""


class RuleTrace(msgspec.Struct, frozen=True):
    """One rule, and why it did or did not speak."""

    id: str
    state: RuleState
    action: Action
    """What it asks for at this moment, met or not."""
    why: str
    """One sentence."""
    count: int = 0
    """Distinct vulnerabilities that met it."""
    in_grace: int = 0
    """Distinct vulnerabilities that will meet it when their grace is over."""
    grace_until: str = ""
    """ISO time at which the first of these begins to count."""
    undecided: bool = False
    """Whether some data were missing, even if it matched on others."""
    aside: tuple[str, ...] = ()
    """What set findings aside that would meet it: `exception:SEC-1`, `vex:…`, `suppressed:kernel_headers`."""
    changed: str = ""
    """By what its action differs from what the rule itself says now: `scope "x"`; empty: by nothing."""
    clock: str = ""
    """When it asks for more: `refused from 2026-12-01`."""


class Explanation(msgspec.Struct, frozen=True):
    """The decision, and everything on the way to it."""

    decision: Decision
    at: str
    """ISO time of the moment judged."""
    policy: str
    """Digest of the policy."""
    metadata: Metadata
    scope: str
    """Id of the scope that matched; empty: none."""
    trust: str
    """What a trusted store changes, in words; empty: nothing."""
    rules: tuple[RuleTrace, ...]
    """Every rule of the policy, in its order."""
    aside: tuple[Aside, ...]
    caps: tuple[str, ...]
    """What weakened the action after the worst was found, in words and in order."""


def explain(policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime) -> Explanation:
    """Return how the decision at `now` comes about; raises ValueError for a moment without a time zone."""
    judgement = judge(policy, standing, launch, now)
    asked = {each.rule.id: each for each in judgement.outcomes}
    hidden = _hidden(policy, judgement)
    return Explanation(
        decision=judgement.decision,
        at=judgement.situation.now.isoformat().replace("+00:00", "Z"),
        policy=policy.digest,
        metadata=policy.metadata,
        scope=judgement.decision.scope,
        trust=_trust(judgement),
        rules=tuple(
            _traced(asked[rule.id], judgement, hidden)
            if rule.id in asked
            else RuleTrace(
                id=rule.id,
                state=RuleState.NOT_ASKED,
                action=rule.action_in(judgement.stance).at(judgement.situation.now),
                why=_not_asked(judgement),
            )
            for rule in policy.rules
        ),
        aside=judgement.decision.aside,
        caps=tuple(_caps(judgement, launch)),
    )


def _hidden(policy: Policy, judgement: Judgement) -> dict[str, tuple[Group, ...]]:
    """Return the findings that were set aside, grouped as those that count, by `kind:id`."""
    told_apart = tuple(columns(policy, judgement.situation))
    sources = judgement.aside.by_source()
    return {f"{key.kind}:{key.id}": grouped(findings, told_apart) for key, findings in sources.items()}


def _aside(rule: Rule, judgement: Judgement, hidden: dict[str, tuple[Group, ...]]) -> tuple[str, ...]:
    """Return what set findings aside that the rule would speak of if they counted."""
    if not hidden:
        return ()
    groups = judgement.situation.groups + tuple(chain.from_iterable(hidden.values()))
    whole = replace(judgement.situation, groups=groups, _made={})
    met = set(map(id, outcome(rule, judgement.stance, whole).match.groups))
    return tuple(name for name, groups in hidden.items() if not met.isdisjoint(map(id, groups)))


def _traced(came: Outcome, judgement: Judgement, hidden: dict[str, tuple[Group, ...]]) -> RuleTrace:
    rule, match = came.rule, came.match
    scope = judgement.decision.scope
    waiting = distinct(came.in_grace())
    ends = came.grace_ends() if waiting else None
    if match.met:
        state = RuleState.MATCHED
    elif waiting:
        state = RuleState.IN_GRACE
    else:
        state = RuleState.UNKNOWN if came.undecided else RuleState.NOT_MATCHED
    return RuleTrace(
        id=rule.id,
        state=state,
        action=came.action,
        why=_why(came, state, waiting, ends),
        count=distinct(match.groups) if match.met else 0,
        in_grace=waiting,
        grace_until="" if ends is None else ends.isoformat().replace("+00:00", "Z"),
        undecided=came.undecided,
        aside=_aside(rule, judgement, hidden),
        changed=f'scope "{scope}"' if rule.id in judgement.stance.rules else "",
        clock=came.promotion(),
    )


def _why(came: Outcome, state: RuleState, waiting: int, ends: datetime | None) -> str:
    if state is RuleState.MATCHED:
        return came.reason().message
    if state is RuleState.IN_GRACE and ends is not None and came.rule.grace is not None:
        noun = "vulnerability is" if waiting == 1 else "vulnerabilities are"
        clock = came.rule.grace.after.value
        day = ends.date().isoformat()
        return f"{waiting} {noun} in grace, {came.rule.grace.days} days after {clock}; the first until {day}"
    if state is RuleState.UNKNOWN:
        return "data that it asks about are missing; on_unknown: skip leaves them out"
    if came.rule.when.about_findings:
        return "no vulnerability that counts meets it"
    return "the image does not meet it"


def _trust(judgement: Judgement) -> str:
    if judgement.store is None:
        return ""
    what = (
        "rules are not applied"
        if judgement.store.skip is Skip.RULES
        else "neither rules nor states are applied"
    )
    return f'the image is in the trusted store "{judgement.store.id}": {what}'


def _not_asked(judgement: Judgement) -> str:
    return _trust(judgement) or "nobody has scanned the image, and it asks about the scan"


def _caps(judgement: Judgement, launch: LaunchEvent) -> list[str]:
    """Return the ceilings that weakened the action, and the grant."""
    decision, stance = judgement.decision, judgement.stance
    said = []
    if stance.mode.cap(decision.would_be) < decision.would_be:
        said.append(f'mode "{stance.mode.value}": at most {stance.mode.cap(Action.BLOCK).word}')
    ceiling = stance.ceiling(launch.door)
    if ceiling < decision.would_be:
        said.append(f'enforcement point "{point_of(launch.door).value}": at most {ceiling.word}')
    if decision.grant:
        said.append(f'break-glass grant "{decision.grant}": a warning in place of the refusal')
    return said
