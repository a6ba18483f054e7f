# SPDX-License-Identifier: Apache-2.0
"""Records that tell of something else than a launch: a break-glass grant, or the log itself."""

from __future__ import annotations

from sifgate.audit import raw
from sifgate.audit.record import CHAIN, SCHEMA, AuditRecord, escape, iso, reference_code, shown_grant
from sifgate.model.launch import Grant

BREAK_GLASS = "break_glass"
"""Outcome of records that tell of a grant."""


def grant_record(
    identifier: str, *, now: float, node: str, event: str, grant: Grant, user: str = ""
) -> AuditRecord:
    """Return the record of a break-glass grant that began or ended: `event` is `started` or `ended`."""
    kept = raw.Keeper(escape)
    return AuditRecord(
        schema=SCHEMA,
        id=identifier,
        time=iso(now),
        node=node,
        door="cli",
        action="log",
        would_be="log",
        reference=reference_code(identifier),
        outcome=BREAK_GLASS,
        event=event,
        detail=escape(f"by {grant.by} until {grant.ends}: {grant.reason}"),
        uid=grant.uid,
        user=kept("user", user),
        grant=shown_grant(grant, kept),
        alarms=(BREAK_GLASS,),
        raw=kept.changed,
    )


def chain_record(identifier: str, *, now: float, node: str, event: str, detail: str) -> AuditRecord:
    """Return the record of something that happened to the log itself; `sifgate.audit.chain` knows the events."""
    return AuditRecord(
        schema=SCHEMA,
        id=identifier,
        time=iso(now),
        node=node,
        door="agent",
        action="log",
        outcome=CHAIN,
        event=event,
        detail=escape(detail),
    )
