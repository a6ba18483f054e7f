# SPDX-License-Identifier: Apache-2.0
"""Audit records like those that launches leave."""

from __future__ import annotations

from typing import Any

import msgspec

from sifgate.audit.record import AuditRecord, Stand, compose, record_id
from sifgate.model.decision import Action, Decision, Reason
from sifgate.model.finding import Finding
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester

REFERENCE = ImageReference("x.sif", ReferenceKind.PATH, "/home/alice/x.sif")
BEGIN = 1_800_000_000


def record(number: int = 0, **changes: Any) -> AuditRecord:
    """Return the record of a refusal, one second after that of the number before; `job` is the number."""
    launch = LaunchEvent(
        Door.SPANK, Requester(1000 + number % 3, 100, "alice", ("lab",), trusted=True), REFERENCE
    )
    finding = Finding("CVE-2025-48384", "git", "1:2.30.2")
    reason = Reason("kev-fixable", Action.BLOCK, "known to be exploited", (finding,), 1)
    decision = Decision(Action.BLOCK, Action.BLOCK, (reason,), policy_digest="sha256:aa", mode="enforce")
    made = compose(
        record_id(BEGIN + number, number.to_bytes(6, "big")),
        now=BEGIN + number,
        node="n1",
        launch=msgspec.structs.replace(launch, job=JobFacts(job_id=number)),
        decision=decision,
        stand=Stand(state="known", fingerprint="ab" * 32, verdict="sha256:bb", generation="g"),
    )
    return msgspec.structs.replace(made, **changes)
