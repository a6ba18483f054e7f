# SPDX-License-Identifier: Apache-2.0
"""The trace of a decision as people read it: each rule, what came of it, and what changed it."""

from __future__ import annotations

from collections.abc import Iterator

from sifgate.model.decision import Aside
from sifgate.policy.trace import Explanation, RuleTrace
from sifgate.render.escape import printable

WIDTH = 9


def trace_lines(explanation: Explanation) -> Iterator[str]:
    """Yield the lines below a record: rules in the policy's order, then what was set aside, scope, trust and caps."""
    meta = explanation.metadata
    named = " ".join(filter(None, (meta.name, meta.revision)))
    yield f"  rules     policy {printable(named)}".rstrip() + f", as of {explanation.at}"
    for rule in explanation.rules:
        yield f"    {rule.state.value:<{WIDTH}} {printable(rule.id)} ({rule.action.word}): {printable(rule.why)}"
        for note in _notes(rule):
            yield f"    {'':<{WIDTH}} {printable(note)}"
    for aside in explanation.aside:
        yield f"  aside     {printable(_aside(aside))}"
    if explanation.scope:
        yield f"  scope     {printable(explanation.scope)}"
    if explanation.trust:
        yield f"  trust     {printable(explanation.trust)}"
    for cap in explanation.caps:
        yield f"  capped    {printable(cap)}"


def _notes(rule: RuleTrace) -> Iterator[str]:
    """Yield what changed a rule's answer or will change it."""
    if rule.in_grace and rule.state.value != "in grace":
        yield f"{rule.in_grace} more in grace, the first until {rule.grace_until[:10]}"
    if rule.undecided and rule.state.value != "unknown":
        yield "data were missing for some findings, which it left out"
    if rule.aside:
        yield f"would speak of more findings but for {', '.join(rule.aside)}"
    if rule.changed:
        yield f"its action is that of {rule.changed}"
    if rule.clock:
        yield rule.clock


def _aside(aside: Aside) -> str:
    noun = "vulnerability" if aside.count == 1 else "vulnerabilities"
    until = f", until {aside.until}" if aside.until else ""
    return f"{aside.kind} {aside.id}: {aside.count} {noun}{until}" + (
        f" ({aside.text})" if aside.text else ""
    )
