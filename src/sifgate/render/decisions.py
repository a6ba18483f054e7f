# SPDX-License-Identifier: Apache-2.0
"""Decisions as people read them: one line after `check`, a page for `explain`, a table for `audit`."""

from __future__ import annotations

from typing import TextIO

from sifgate.audit.record import AuditRecord
from sifgate.model.decision import Action, Aside
from sifgate.render.escape import printable

_WORDS = {
    Action.ALLOW: "allowed",
    Action.LOG: "allowed, and logged",
    Action.WARN: "allowed, with a warning",
    Action.BLOCK: "refused",
}


def verdict_line(image: str, action: Action, record: AuditRecord | None, reference: str) -> str:
    """Return the line that ends `sifgate check`: what was decided, and what enforcing would have done."""
    parts = [f"{printable(image)}: {_WORDS[action]}"]
    if record is not None:
        parts.append(f"state {standing_word(record)}")
        if record.would_be != action.word:
            parts.append(f"would be {record.would_be} in mode enforce (mode is {record.mode})")
    if reference:
        parts.append(f"ref {printable(reference)}")
    return "; ".join(parts)


def standing_word(record: AuditRecord) -> str:
    """Return what was known of the image, such as `known` or `unscannable (encrypted)`."""
    word = record.state or record.cause or "not stated"
    return f"{word} ({record.unscannable})" if record.unscannable else word


def explanation(record: AuditRecord) -> str:
    """Return the page of `sifgate explain`."""
    rows = [
        (
            "decision",
            f"{record.action} (mode {record.mode or 'not stated'}, in mode enforce: {record.would_be})",
        ),
        ("when", f"{record.time} on {record.node}, door {record.door}, {record.latency_ms:g} ms"),
        ("who", _who(record)),
        ("image", "  ".join(filter(None, (record.name, record.path or record.image)))),
        ("known", standing_word(record) + (f": {record.detail}" if record.detail else "")),
        *_judged(record),
        *_circumstances(record),
        ("injected", "; ".join(record.content_injected)),
        ("command", " ".join(record.argv)),
        ("said", record.user_reason),
        ("outcome", _outcome(record)),
    ]
    lines = [f"{record.reference}  {record.id}"]
    lines += [f"  {name:<9} {printable(text)}" for name, text in rows if text]
    for reason in record.reasons:
        why = f"{reason.action}: {reason.message} (rule {reason.rule})"
        lines.append(f"  why       {printable(why)}")
        lines += [f"            {printable(finding)}" for finding in reason.findings]
        if reason.count > len(reason.findings) > 0:
            lines.append(f"            and {reason.count - len(reason.findings)} more")
        if reason.clock:
            lines.append(f"            {printable(reason.clock)}")
    lines += [f"  aside     {printable(_aside(aside))}" for aside in record.aside]
    if record.suppressed and not record.aside:
        lines.append(f"  listed    {record.suppressed} findings are suppressed by the policy and not counted")
    return "\n".join(lines)


def _who(record: AuditRecord) -> str:
    job = f", job {record.job} step {record.step}" if record.job else ""
    return f"{record.user or 'uid'} ({record.uid}){job}" + (
        "" if record.trusted else "; job facts not trusted"
    )


def _judged(record: AuditRecord) -> list[tuple[str, str]]:
    """Return what the decision was computed from, one row each."""
    return [
        ("print", record.fingerprint),
        ("verdict", record.verdict),
        ("data", f"generation {record.generation}" if record.generation else ""),
        ("policy", record.policy),
    ]


def _circumstances(record: AuditRecord) -> list[tuple[str, str]]:
    """Return what beside image and rules had a part in it, one row each."""
    grant = record.grant
    granted = "" if grant is None else f"{grant.id} by {grant.by} until {grant.ends}: {grant.reason}"
    if record.granted:
        granted += " (refused without it)"
    return [
        ("scope", record.scope),
        ("trusted", f"by store {record.trust}" if record.trust else ""),
        ("grant", granted),
        ("budget", "the fail-open budget was used up" if record.budget_spent else ""),
        ("lacking", f"data for rules {', '.join(record.undecided)}" if record.undecided else ""),
        ("alarm", ", ".join(record.alarms)),
    ]


def _aside(aside: Aside) -> str:
    until = f" until {aside.until}" if aside.until else ""
    text = f": {aside.text}" if aside.text else ""
    return f"{aside.count} not counted: {aside.kind} {aside.id}{until}{text}"


_OUTCOMES = {
    "decided": "",
    "asked": "asked by `sifgate check`: nothing was started",
    "would_have_blocked": "a verdict that came after the launch had passed would have refused it",
    "break_glass": "break-glass: no launch, but a grant",
    "chain": "the log tells of itself: docs/audit.md",
}


def _outcome(record: AuditRecord) -> str:
    text = _OUTCOMES.get(record.outcome, record.outcome)
    text += f" ({record.event})" if record.event else ""
    return f"{text} (launch {record.of})" if record.of else text


def print_records(records: list[AuditRecord], stream: TextIO) -> None:
    """Print records as a table, in their order."""
    from sifgate.render.table import Column, print_table

    columns = (
        Column("time"), Column("ref"), Column("action"), Column("would be"), Column("user"),
        Column("job", right=True),
        Column("door"), Column("known"), Column("image", fold=True), Column("first reason", fold=True),
    )  # fmt: skip
    rows = [
        (
            record.time,
            record.reference,
            record.action if record.outcome == "decided" else f"{record.action} ({record.outcome})",
            record.would_be,
            record.user or str(record.uid),
            str(record.job or ""),
            record.door,
            standing_word(record),
            record.path or record.image,
            record.reasons[0].message if record.reasons else "",
        )
        for record in records
    ]
    print_table(columns, rows, stream)
