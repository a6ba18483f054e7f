# SPDX-License-Identifier: Apache-2.0
"""Records that tell of something else than a launch."""

from __future__ import annotations

from sifgate.audit.record import CHAIN, SCHEMA, AuditRecord, escape, iso

BREAK_GLASS = "break_glass"
"""Outcome of records that tell of a grant."""


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
