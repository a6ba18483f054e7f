# SPDX-License-Identifier: Apache-2.0
"""Reads actions: a word, or one that grows by date."""

from __future__ import annotations

from datetime import date

from sifgate.model.decision import Action
from sifgate.policy.schedule import Schedule, Step
from sifgate.yamlnode import Node, quoted

ACTIONS = tuple(action.word for action in Action)
NOW = "now"
MAX_STEPS = 20


def read_action(node: Node) -> Action:
    """Return the action that a word names."""
    return Action.parse(node.choice(ACTIONS))


def read_schedule(node: Node) -> Schedule:
    """Return the schedule of a word, or of `now` and dates; an action weaker than an earlier one is an error."""
    if not node.is_mapping:
        return Schedule(read_action(node))
    fields = node.mapping(required=(NOW,))
    now = fields.pop(NOW)
    if not 1 <= len(fields) <= MAX_STEPS:
        raise node.error(f'expected "{NOW}" and 1 to {MAX_STEPS} dates, got {len(fields)} dates')
    dated = sorted((_day(node, key), key, value) for key, value in fields.items())
    action = read_action(now)
    steps = []
    for day, key, value in dated:
        step = Step(day, read_action(value))
        if step.action < action:
            raise node.key_error(
                key,
                f'"{step.action.word}" is weaker than "{action.word}" before it: a rule never weakens by date',
            )
        action = step.action
        steps.append(step)
    return Schedule(read_action(now), tuple(steps))


def _day(node: Node, key: str) -> date:
    try:
        if len(key) == len("YYYY-MM-DD"):
            return date.fromisoformat(key)
    except ValueError:
        pass
    raise node.key_error(key, f'expected "{NOW}" or a date as YYYY-MM-DD, got {quoted(key)}')
