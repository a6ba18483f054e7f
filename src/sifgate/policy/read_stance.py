# SPDX-License-Identifier: Apache-2.0
"""Reads what both a policy and a scope can set: mode, actions of states and failures, ceilings, freshness."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec

from sifgate.model.decision import Action
from sifgate.model.verdict import FailureCause, ScanState, UnscannableCause
from sifgate.policy.document import Mode, Stance
from sifgate.policy.points import Point
from sifgate.policy.read_schedule import ACTIONS, read_action
from sifgate.policy.settings import Freshness, Limit
from sifgate.yamlnode import Node

STANCE_KEYS = (
    "mode",
    "default_action",
    "scan_states",
    "failure",
    "content_injected",
    "enforcement_points",
    "freshness",
)
STATES = tuple(state.value for state in ScanState if state is not ScanState.KNOWN)
CAUSES = tuple(cause.value for cause in UnscannableCause)
FAILURES = tuple(cause.value for cause in FailureCause)
POINTS = tuple(point.value for point in Point)
INHERIT = "inherit"
"""No ceiling but the mode's."""
AGES = ("scan_max_age", "advisories_max_age")
MAX_AGE = timedelta(days=3660)


def read_stance(fields: dict[str, Node], below: Stance) -> Stance:
    """Return the stance `below` with what `fields` set over it; other keys are not looked at."""
    changes: dict[str, object] = {}
    if "mode" in fields:
        changes["mode"] = Mode(fields["mode"].choice(mode.value for mode in Mode))
    for key in ("default_action", "content_injected"):
        if key in fields:
            changes[key] = read_action(fields[key])
    if "scan_states" in fields:
        changes |= _scan_states(fields["scan_states"], below)
    if "failure" in fields:
        causes = fields["failure"].mapping(keys=FAILURES)
        named_causes = {FailureCause(word): read_action(node) for word, node in causes.items()}
        changes["failure"] = {**below.failure, **named_causes}
    if "enforcement_points" in fields:
        changes["enforcement_points"] = _ceilings(fields["enforcement_points"], below)
    if "freshness" in fields:
        changes["freshness"] = _freshness(fields["freshness"], below.freshness)
    return msgspec.structs.replace(below, **changes)


def _scan_states(node: Node, below: Stance) -> dict[str, object]:
    states = node.mapping(keys=STATES)
    unscannable = states.pop("unscannable", None)
    named = {ScanState(word): read_action(value) for word, value in states.items()}
    changes: dict[str, object] = {"scan_states": {**below.scan_states, **named}}
    if unscannable is not None:
        changes["unscannable"] = {**below.unscannable, **_causes(unscannable)}
    return changes


def _causes(node: Node) -> dict[UnscannableCause, Action]:
    """Return the action by cause: one word for all of them, or a mapping."""
    if not node.is_mapping:
        action = read_action(node)
        return dict.fromkeys(UnscannableCause, action)
    return {UnscannableCause(word): read_action(value) for word, value in node.mapping(keys=CAUSES).items()}


def _ceilings(node: Node, below: Stance) -> dict[Point, Action]:
    """Return the ceilings by point; those that are `inherit` (or `block`, which is no ceiling) are left out."""
    named = {
        Point(word): Action.BLOCK
        if (chosen := value.choice((*ACTIONS, INHERIT))) == INHERIT
        else Action.parse(chosen)
        for word, value in node.mapping(keys=POINTS).items()
    }
    together = {**below.enforcement_points, **named}
    return {point: action for point, action in together.items() if action is not Action.BLOCK}


def _freshness(node: Node, below: Freshness) -> Freshness:
    fields = node.mapping(keys=AGES)
    return Freshness(
        scan=_limits(fields["scan_max_age"]) if "scan_max_age" in fields else below.scan,
        advisories=_limits(fields["advisories_max_age"])
        if "advisories_max_age" in fields
        else below.advisories,
    )


def _limits(node: Node) -> tuple[Limit, ...]:
    """Return the limits by age: one length of time, which warns, or one by action."""
    if not node.is_mapping:
        return (Limit(_age(node), Action.WARN),)
    fields = node.mapping(keys=ACTIONS)
    if not fields:
        raise node.error("states no age")
    limits = sorted(
        (Limit(_age(value), Action.parse(word)) for word, value in fields.items()), key=_by_action
    )
    for weaker, stronger in pairwise(limits):
        if stronger.seconds <= weaker.seconds:
            raise fields[stronger.action.word].error(
                f'"{stronger.action.word}" must begin at a greater age than "{weaker.action.word}"'
            )
    return tuple(limits)


def _by_action(limit: Limit) -> Action:
    return limit.action


def _age(node: Node) -> int:
    return round(node.duration(minimum=timedelta(minutes=1), maximum=MAX_AGE).total_seconds())
