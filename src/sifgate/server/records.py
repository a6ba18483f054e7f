# SPDX-License-Identifier: Apache-2.0
"""Audit records as nodes send them → rows of the store; what is said of them is bounded and printable."""

from __future__ import annotations

from datetime import datetime, timezone

import msgspec

from sifgate.audit.record import AuditRecord
from sifgate.clair.identifiers import cves
from sifgate.server.refusal import Refused
from sifgate.store.launches import Grounds, ImageName, Launch

BIGGEST = 1 << 62
_LONGEST_ID = 64
_LONGEST = 256
"""Characters of a word that records are found by; the record itself is kept whole."""


class Batch(msgspec.Struct, frozen=True):
    """Some records of one node."""

    records: list[msgspec.Raw]


def batch(content: bytes) -> list[Launch]:
    """Return the records; one that is not an audit record refuses the batch, for then the node's spool is damaged."""
    try:
        given = msgspec.json.decode(content, type=Batch)
        return [_launch(bytes(raw), msgspec.json.decode(raw, type=AuditRecord)) for raw in given.records]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "bad_request", f"not audit records: {error}") from error


def _launch(raw: bytes, record: AuditRecord) -> Launch:
    if not 0 < len(record.id) <= _LONGEST_ID or not (abs(record.job) < BIGGEST and abs(record.uid) < BIGGEST):
        raise Refused(400, "bad_request", "a record has no valid id, job or uid")
    named = cves(" ".join(finding for reason in record.reasons for finding in reason.findings))
    return Launch(
        id=text(record.id),
        at=moment(record.time),
        user=_word(record.user),
        uid=record.uid,
        job=record.job,
        account=_word(record.account),
        node=_word(record.node),
        door=_word(record.door),
        action=_word(record.action),
        outcome=_word(record.outcome),
        image=ImageName(text(record.image), text(record.path), text(record.name)),
        grounds=Grounds(
            fingerprint=_word(record.fingerprint),
            verdict=_word(record.verdict),
            policy=_word(record.policy),
            rules=tuple(dict.fromkeys(_word(reason.rule) for reason in record.reasons)),
            cves=tuple(sorted(named)),
        ),
        body=raw,
    )


def _word(value: str) -> str:
    return text(value)[:_LONGEST]


def text(value: str) -> str:
    """Return a text without control characters; raises Refused 400 for one with them."""
    if not value.isprintable():
        raise Refused(400, "bad_request", "control characters where none belong")
    return value


def moment(value: str) -> datetime:
    """Return the instant of an ISO time, a bare date as midnight, UTC where it names no zone; raises Refused 400."""
    try:
        parsed = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise Refused(400, "bad_request", f"{value!r} is not an ISO time") from error
