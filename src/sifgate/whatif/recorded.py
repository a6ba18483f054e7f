# SPDX-License-Identifier: Apache-2.0
"""A recorded launch as the evaluator saw it: the launch and the standing, made anew from a line of the audit log."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sifgate.audit.raw import text_of, texts_of
from sifgate.audit.record import AuditRecord
from sifgate.model.image import ImageFacts, ImageReference, ReferenceKind
from sifgate.model.launch import Door, Grant, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import FailureCause, ScanState, Standing, UnscannableCause, Verdict

Verdicts = Callable[[str], Verdict | None]
"""Returns the verdict of a digest; None where it is not to be had."""


def launch_of(record: AuditRecord) -> LaunchEvent:
    """Return the launch of a record.

    Raises ValueError where it holds a word that this version does not know, or lacks one that was too long for it.
    """
    raw = record.raw
    return LaunchEvent(
        door=Door(record.door),
        requester=Requester(
            uid=record.uid,
            gid=record.gid,
            user=text_of(raw, "user", record.user),
            groups=texts_of(raw, "groups", record.groups),
            trusted=record.trusted,
        ),
        reference=ImageReference(
            record.image, ReferenceKind(record.image_kind), text_of(raw, "path", record.path)
        ),
        job=JobFacts(
            job_id=record.job,
            step_id=record.step,
            node=record.step_node,
            nodes=record.nodes,
            partition=text_of(raw, "partition", record.partition),
            account=text_of(raw, "account", record.account),
            qos=text_of(raw, "qos", record.qos),
            reservation=text_of(raw, "reservation", record.reservation),
        ),
        cwd=record.cwd,
        argv=record.argv,
        content_injected=record.content_injected,
        reason=record.user_reason,
        name=record.name,
        claimed=record.claimed,
        image=_facts(record),
        grant=_grant(record),
        budget_spent=record.budget_spent,
    )


def _facts(record: AuditRecord) -> ImageFacts:
    if record.facts is None:
        return ImageFacts()
    return msgspec.structs.replace(
        record.facts,
        owner=text_of(record.raw, "owner", record.facts.owner),
        created=text_of(record.raw, "created", record.facts.created),
    )


def _grant(record: AuditRecord) -> Grant | None:
    if record.grant is None:
        return None
    return msgspec.structs.replace(
        record.grant,
        reason=text_of(record.raw, "grant_reason", record.grant.reason),
        by=text_of(record.raw, "grant_by", record.grant.by),
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
        detail=text_of(record.raw, "detail", record.detail),
        verdict=verdict,
        fingerprint=record.fingerprint,
        digest=record.verdict,
    )
