# SPDX-License-Identifier: Apache-2.0
"""A record as a flat list of names and texts, for forms that know no nesting."""

from __future__ import annotations

from sifgate.audit.record import AuditRecord, escape

FIELDS = (
    "time", "node", "id", "reference", "outcome", "event", "action", "would_be", "mode", "rules", "reason", "findings",
    "state", "cause", "unscannable", "detail", "image", "path", "name", "image_kind", "fingerprint", "verdict",
    "generation", "policy", "door", "uid", "gid", "user", "groups", "trusted", "job", "step", "step_node", "nodes",
    "partition", "account", "qos", "reservation", "cwd", "argv", "argv_sha256", "content_injected", "user_reason",
    "claimed", "suppressed", "latency_ms", "kept_by", "of", "owner", "created", "image_digest", "signers", "granted",
    "budget_spent", "aside", "trust", "alarms", "scope", "undecided", "pseudonymised", "schema", "chain", "seq", "prev",
)  # fmt: skip
"""Names in the order of the columns; only ever added to, at the end."""
_UNKNOWN_NUMBERS = frozenset({"uid", "gid", "step"})
"""Fields in which -1 says that there is no number."""


def flat(record: AuditRecord) -> dict[str, str]:
    """Return the fields of a record as texts without control characters; lists joined by a space, as they can be."""
    special = {
        "rules": " ".join(reason.rule for reason in record.reasons),
        "reason": record.reasons[0].message if record.reasons else "",
        "findings": "; ".join(finding for reason in record.reasons for finding in reason.findings),
        "argv": " ".join(record.argv),
        "claimed": " ".join(f"{key}={value}" for key, value in record.claimed.items()),
        "aside": " ".join(f"{aside.kind}:{aside.id}={aside.count}" for aside in record.aside),
        **_facts(record),
    }
    return {name: _text(name, special[name] if name in special else getattr(record, name)) for name in FIELDS}


def _facts(record: AuditRecord) -> dict[str, str]:
    facts = record.facts
    if facts is None:
        return {"owner": "", "created": "", "image_digest": "", "signers": ""}
    signers = "" if facts.signers is None else " ".join(facts.signers) or "none"
    return {
        "owner": facts.owner,
        "created": facts.created,
        "image_digest": facts.digest,
        "signers": signers,
    }


def _text(name: str, value: object) -> str:
    if isinstance(value, tuple):
        value = " ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in _UNKNOWN_NUMBERS and value == -1:
        return ""
    return escape(str(value), 4096)


def sentence(record: AuditRecord) -> str:
    """Return one line for people: what was done with which image, for whom and why."""
    if record.event:
        return escape(f"{record.outcome} {record.event}: {record.detail}")
    reason = record.reasons[0].message if record.reasons else record.detail
    who = record.user or str(record.uid)
    said = f"{record.action} {record.path or record.image} for {who} at {record.door}"
    return escape(f"{said}: {reason}" if reason else said)
