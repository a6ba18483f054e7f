# SPDX-License-Identifier: Apache-2.0
"""A recorded launch as the evaluator saw it: the launch and the standing, made anew from a line of the audit log."""

from __future__ import annotations

from collections.abc import Callable

from sifgate.audit.record import AuditRecord
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import FailureCause, ScanState, Standing, UnscannableCause, Verdict

Verdicts = Callable[[str], Verdict | None]
"""Returns the verdict of a digest; None where it is not to be had."""


def launch_of(record: AuditRecord) -> LaunchEvent:
    """Return the launch of a record; raises ValueError where it holds a word that this version does not know."""
    return LaunchEvent(
        door=Door(record.door),
        requester=Requester(
            uid=record.uid,
            gid=record.gid,
            user=record.user,
            groups=record.groups,
            trusted=record.trusted,
        ),
        reference=ImageReference(record.image, ReferenceKind(record.image_kind), record.path),
        job=JobFacts(
            job_id=record.job,
            step_id=record.step,
            node=record.step_node,
            nodes=record.nodes,
            partition=record.partition,
            account=record.account,
            qos=record.qos,
            reservation=record.reservation,
        ),
        cwd=record.cwd,
        argv=record.argv,
        content_injected=record.content_injected,
        reason=record.user_reason,
        name=record.name,
        claimed=record.claimed,
    )


def standing_of(record: AuditRecord, verdicts: Verdicts) -> Standing | None:
    """Return what was judged; None where the verdict that the record names is not to be had.

    Raises ValueError where the record holds a word that this version does not know.
    """
    verdict = verdicts(record.verdict) if record.verdict else None
    if record.verdict and verdict is None:
        return None
    return Standing(
        state=ScanState(record.state) if record.state else None,
        cause=FailureCause(record.cause) if record.cause else None,
        unscannable=UnscannableCause(record.unscannable) if record.unscannable else None,
        detail=record.detail,
        verdict=verdict,
        fingerprint=record.fingerprint,
        digest=record.verdict,
    )
