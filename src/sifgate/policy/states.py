# SPDX-License-Identifier: Apache-2.0
"""What a scan state or failure cause asks for, and how it is said."""

from __future__ import annotations

from sifgate.model.decision import Action, Reason
from sifgate.model.verdict import FailureCause, ScanState, Standing, UnscannableCause
from sifgate.policy.document import Stance
from sifgate.policy.settings import FailOpenBudget

BUDGET = "fail_open_budget"
"""The alarm of a launch that met a failure after the budget was used up."""

STATE_SENTENCES: dict[ScanState, str] = {
    ScanState.PENDING: "the image is still being scanned",
    ScanState.PENDING_EXHAUSTED: "the image has passed unscanned too often today",
    ScanState.UNSUPPORTED: "no advisories cover the image's distribution",
    ScanState.PARTIAL: "the image could be scanned only in part",
    ScanState.INCONSISTENT: "the image's package data contradict its content",
    ScanState.STALE: "what is known of the image is out of date",
    ScanState.FAILED: "the scanner fails on the image",
    ScanState.UNRESOLVED: "the image cannot be found or opened",
    ScanState.UNSCANNABLE: "the image cannot be scanned",
}

UNSCANNABLE_SENTENCES: dict[UnscannableCause, str] = {
    UnscannableCause.ENCRYPTED: "the image is encrypted and cannot be scanned",
    UnscannableCause.MALFORMED: "the image is malformed and cannot be scanned",
    UnscannableCause.BOUNDS: "the image is too large or too deep to be scanned",
    UnscannableCause.FORMAT: "the image's format cannot be scanned",
    UnscannableCause.FILESYSTEM: "the image's file system cannot be scanned",
    UnscannableCause.SANDBOX: "this node has no sandbox to scan the image in",
}

CAUSE_SENTENCES: dict[FailureCause, str] = {
    FailureCause.AGENT_UNREACHABLE: "the sifgate agent of this node does not answer",
    FailureCause.SERVER_UNREACHABLE: "the sifgate server does not answer",
    FailureCause.CLAIR_UNAVAILABLE: "the scanner is not available",
    FailureCause.POLICY_INVALID: "the site's policy cannot be loaded",
    FailureCause.AUDIT_UNWRITABLE: "the audit log cannot be written",
}


def cause_reasons(stance: Stance, standing: Standing, spent: FailOpenBudget | None) -> list[Reason]:
    """Return what a failure asks for; at least what the budget says where that is `spent`."""
    if standing.cause is None:
        return []
    action = stance.failure[standing.cause]
    message = CAUSE_SENTENCES[standing.cause]
    if spent is not None:
        action = max(action, spent.then)
        message += ", and this hour's budget of launches without a judgement is spent"
    return [_reason(f"cause:{standing.cause.value}", action, message)]


def state_reasons(stance: Stance, standing: Standing) -> list[Reason]:
    """Return what the state asks for: nothing for a `known` verdict."""
    state = effective_state(standing)
    if state is ScanState.UNSCANNABLE:
        return [_unscannable(stance, standing.unscannable)]
    if state in (None, ScanState.KNOWN):
        return []
    return [_reason(f"state:{state.value}", stance.scan_states[state], STATE_SENTENCES[state])]


def effective_state(standing: Standing) -> ScanState | None:
    """Return the state that holds: `known` only with a verdict, None where a failure stands in its place.

    A standing that says nothing is a failure to know, never clean.
    """
    state = standing.state
    if state in (None, ScanState.KNOWN) and standing.verdict is not None:
        state = standing.verdict.state
    if state is ScanState.KNOWN and standing.verdict is not None:
        return ScanState.KNOWN
    if state is ScanState.KNOWN or (state is None and standing.cause is None):
        return ScanState.FAILED
    return state


def _unscannable(stance: Stance, cause: UnscannableCause | None) -> Reason:
    """Return the reason for a cause; without one, the strictest that the policy has for any."""
    if cause is None:
        action = max(stance.unscannable.values())
        return _reason("state:unscannable", action, STATE_SENTENCES[ScanState.UNSCANNABLE])
    return _reason("state:unscannable", stance.unscannable[cause], UNSCANNABLE_SENTENCES[cause])


def _reason(rule: str, action: Action, message: str) -> Reason:
    return Reason(rule=rule, action=action, message=message)
