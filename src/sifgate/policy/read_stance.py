# SPDX-License-Identifier: Apache-2.0
"""Reads what both a policy and a scope can set: mode, default action, scan states, failures."""

from __future__ import annotations

import msgspec

from sifgate.model.decision import Action
from sifgate.model.verdict import FailureCause, ScanState, UnscannableCause
from sifgate.policy.document import Mode, Stance
from sifgate.yamlnode import Node

ACTIONS = tuple(action.word for action in Action)
STANCE_KEYS = ("mode", "default_action", "scan_states", "failure", "content_injected")
STATES = tuple(state.value for state in ScanState if state is not ScanState.KNOWN)
CAUSES = tuple(cause.value for cause in UnscannableCause)
FAILURES = tuple(cause.value for cause in FailureCause)


def read_action(node: Node) -> Action:
    """Return the action that a word names."""
    return Action.parse(node.choice(ACTIONS))


def read_stance(fields: dict[str, Node], below: Stance) -> Stance:
    """Return the stance `below` with what `fields` set over it; other keys are not looked at."""
    changes: dict[str, object] = {}
    if "mode" in fields:
        changes["mode"] = Mode(fields["mode"].choice(mode.value for mode in Mode))
    for key in ("default_action", "content_injected"):
        if key in fields:
            changes[key] = read_action(fields[key])
    if "scan_states" in fields:
        states = fields["scan_states"].mapping(keys=STATES)
        unscannable = states.pop("unscannable", None)
        named = {ScanState(word): read_action(node) for word, node in states.items()}
        changes["scan_states"] = {**below.scan_states, **named}
        if unscannable is not None:
            changes["unscannable"] = {**below.unscannable, **_causes(unscannable)}
    if "failure" in fields:
        causes = fields["failure"].mapping(keys=FAILURES)
        named_causes = {FailureCause(word): read_action(node) for word, node in causes.items()}
        changes["failure"] = {**below.failure, **named_causes}
    return msgspec.structs.replace(below, **changes)


def _causes(node: Node) -> dict[UnscannableCause, Action]:
    """Return the action by cause: one word for all of them, or a mapping."""
    if not node.is_mapping:
        action = read_action(node)
        return dict.fromkeys(UnscannableCause, action)
    return {UnscannableCause(word): read_action(value) for word, value in node.mapping(keys=CAUSES).items()}
