# SPDX-License-Identifier: Apache-2.0
"""One decision as one JSON line (schema 2, docs/audit.md): what was asked, what was known, what was said.

Everything needed to compute the decision again, nothing that a user can blow up: his fields are capped and escaped,
and where that changed one that the policy may read, `raw` holds it as it was.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import msgspec

from sifgate.audit import raw
from sifgate.model.decision import Aside, Decision
from sifgate.model.image import ImageFacts
from sifgate.model.launch import Grant, JobFacts, LaunchEvent

SCHEMA = 2
FIRST_SCHEMA = 1
"""Of lines that do not say theirs: before there was a chain."""
ARGV_LIMIT = 2048
"""Characters of argv that a record keeps; the hash covers all of it."""
TEXT_LIMIT = 1024
"""Characters kept of any other text that a user can choose."""
CHAIN = "chain"
"""Outcome of bookkeeping records: they tell of the log, not of a launch."""
REASONS_LIMIT = 8
FINDINGS_LIMIT = 5

_CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U


class ReasonLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason as the record keeps it."""

    rule: str
    action: str
    message: str
    count: int = 0
    findings: tuple[str, ...] = ()
    """`CVE package version`, at most five."""
    clock: str = ""
    """What time does to it, in words."""


class AuditRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the audit log."""

    id: str
    """26 hex digits of time in microseconds and chance, sortable by time, unique."""
    time: str
    """ISO time, UTC: the clock that the decision was made with."""
    node: str
    door: str
    action: str
    """What was done: `allow`, `log`, `warn`, `block`."""
    reference: str = ""
    """The code on the notice, such as `7QX4-19`."""
    schema: int = FIRST_SCHEMA
    outcome: str = "decided"
    """`decided`; `asked`, where nothing was about to start; `would_have_blocked`, where a verdict that came after the
    launch had passed as pending would have refused it; `break_glass`, a grant began or ended; `chain`, something
    happened to the log itself."""
    event: str = ""
    """For `break_glass` and `chain`: what happened, one word."""
    of: str = ""
    """For `would_have_blocked`: the id of the launch's own record."""
    would_be: str = "allow"
    """What mode `enforce` would have done."""
    mode: str = ""
    reasons: tuple[ReasonLine, ...] = ()
    state: str = ""
    """Scan state; empty where a cause stands in its place."""
    cause: str = ""
    """Failure cause of the infrastructure that the decision is a posture for."""
    unscannable: str = ""
    detail: str = ""
    image: str = ""
    """The reference as typed."""
    path: str = ""
    name: str = ""
    """What the user called the image that a runtime made this directory or file of: his word, or the runtime's."""
    image_kind: str = "path"
    fingerprint: str = ""
    verdict: str = ""
    """Digest of the verdict's canonical bytes."""
    generation: str = ""
    policy: str = ""
    """Digest of the policy."""
    uid: int = -1
    gid: int = -1
    user: str = ""
    groups: tuple[str, ...] = ()
    trusted: bool = False
    job: int = 0
    step: int = -1
    step_node: str = ""
    nodes: int = 1
    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    cwd: str = ""
    argv: tuple[str, ...] = ()
    argv_sha256: str = ""
    content_injected: tuple[str, ...] = ()
    user_reason: str = ""
    """`--sifgate-reason`, recorded only."""
    claimed: dict[str, str] = {}
    suppressed: int = 0
    latency_ms: float = 0.0
    """From the question's arrival to the decision, without what the runtime's own pull took."""
    kept_by: str = ""
    """`server`: a multi-node step's first decision was taken instead of this node's."""
    facts: ImageFacts | None = None
    """What the policy read of the image file itself; None: nothing."""
    grant: Grant | None = None
    """The break-glass grant that was in force for the user."""
    granted: str = ""
    """Its id, where the launch would have been refused without it."""
    budget_spent: bool = False
    """Whether the node's fail-open budget was used up."""
    aside: tuple[Aside, ...] = ()
    """What was set aside, and by what."""
    trust: str = ""
    """Id of the trusted store that the image is in."""
    alarms: tuple[str, ...] = ()
    scope: str = ""
    """Id of the policy's scope that matched."""
    undecided: tuple[str, ...] = ()
    """Rules that lacked data."""
    raw: dict[str, str] = {}
    """Fields as they were before they were escaped or cut, where that changed them (`sifgate.audit.raw`)."""
    pseudonymised: tuple[str, ...] = ()
    """Fields that hold pseudonyms: only in copies, never in the node's own log."""
    chain: str = ""
    """Id of the node's chain; empty: written before there was one."""
    seq: int = 0
    """Place in the chain, from 1, without gaps."""
    prev: str = ""
    """SHA-256 (hex) of the line before, without its newline; empty for the first."""


class Stand(msgspec.Struct, frozen=True):
    """What a record says of the standing that was judged."""

    state: str = ""
    cause: str = ""
    unscannable: str = ""
    detail: str = ""
    fingerprint: str = ""
    verdict: str = ""
    generation: str = ""


def escape(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Return `text` with control characters and surrogates as `\xNN`/`\uNNNN`, cut to `limit` characters."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - surrogate escapes of bytes 0x80 to 0xff
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:  # noqa: PLR2004 - what \\x can say
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - what \\u can say


def argv_lines(argv: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Return argv escaped and cut to `ARGV_LIMIT` characters in all, and the SHA-256 of all words, NUL after each."""
    digest = hashlib.sha256("\0".join((*argv, "")).encode("utf-8", "surrogateescape")).hexdigest()
    kept: list[str] = []
    left = ARGV_LIMIT
    for word in argv:
        if left <= 0:
            break
        line = escape(word, left)[:left]
        kept.append(line)
        left -= len(line) + 1
    return tuple(kept), digest if argv else ""


_argv_remembered = lru_cache(maxsize=256)(argv_lines)
_REMEMBERED_LENGTH = 4096
"""Characters of an argv that is worth remembering; longer ones are rare and would fill the memory."""


def record_id(now: float, chance: bytes) -> str:
    """Return a sortable id: 14 hex digits of microseconds since 1970, then 12 of `chance` (6 bytes)."""
    return f"{int(now * 1_000_000):014x}{chance.hex()}"


def reference_code(identifier: str) -> str:
    """Return the short code of a record that people can read out: `7QX4-19`, 30 bits of the id's chance."""
    bits = int(identifier[-8:], 16)
    letters = [_CODE_LETTERS[bits >> shift & 31] for shift in (25, 20, 15, 10, 5, 0)]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def iso(now: float) -> str:
    """Return `now` (seconds since 1970) as ISO time in UTC with milliseconds."""
    second, milliseconds = divmod(
        round(now * 1000), 1000
    )  # a moment that is whole milliseconds comes out as itself
    return f"{_second(second)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, timezone.utc).isoformat().removesuffix("+00:00")


def compose(
    identifier: str,
    *,
    now: float,
    node: str,
    launch: LaunchEvent,
    decision: Decision,
    stand: Stand,
    latency_ms: float = 0.0,
    outcome: str = "decided",
) -> AuditRecord:
    """Return the record of one decision, `of` and `kept_by` left out; user fields capped and escaped.

    `now` is the very clock that judged: the decision is computed again with the milliseconds of it.
    """
    requester, image = launch.requester, launch.reference
    lines = _argv_remembered if sum(map(len, launch.argv)) <= _REMEMBERED_LENGTH else argv_lines
    argv, digest = lines(launch.argv)
    kept = _keeper(stand, launch)
    shown = kept.show
    return AuditRecord(
        schema=SCHEMA,
        id=identifier,
        time=iso(now),
        node=node,
        door=launch.door.value,
        reference=reference_code(identifier),
        outcome=outcome,
        state=stand.state,
        cause=stand.cause,
        unscannable=stand.unscannable,
        detail=kept("detail", stand.detail),
        image=shown(image.text),
        path=kept("path", image.path),
        name=escape(launch.name, 256),
        image_kind=image.kind.value,
        fingerprint=stand.fingerprint,
        verdict=stand.verdict,
        generation=stand.generation,
        policy=decision.policy_digest,
        uid=requester.uid,
        gid=requester.gid,
        user=kept("user", requester.user),
        groups=kept.all("groups", requester.groups),
        trusted=requester.trusted,
        cwd=shown(launch.cwd),
        argv=argv,
        argv_sha256=digest,
        content_injected=tuple(escape(text) for text in launch.content_injected[:16]),
        user_reason=shown(launch.reason),
        claimed={escape(key, 64): escape(value, 256) for key, value in list(launch.claimed.items())[:16]},
        latency_ms=round(latency_ms, 3),
        facts=None if launch.image == _NO_FACTS else _facts(launch.image, kept),
        grant=None if launch.grant is None else _grant(launch.grant, kept),
        budget_spent=launch.budget_spent,
        raw=kept.changed,
        **_placed(launch.job, kept),
        **judged_fields(decision),
    )


def _keeper(stand: Stand, launch: LaunchEvent) -> raw.Keeper:
    """Return what escapes the record's words; where there is nothing to escape, as nearly always, what does nothing."""
    requester, job, image, facts, grant = (
        launch.requester, launch.job, launch.reference, launch.image, launch.grant,
    )  # fmt: skip
    plain = "".join(
        (
            stand.detail, image.text, image.path, requester.user, *requester.groups, job.node, job.partition,
            job.account, job.qos, job.reservation, launch.cwd, launch.reason, facts.owner, facts.created,
        )
    )  # fmt: skip
    if grant is None and len(plain) <= TEXT_LIMIT and plain.isprintable():
        return _UNCHANGED
    return raw.Keeper(escape)


def _placed(job: JobFacts, kept: raw.Keeper) -> dict[str, Any]:
    """Return what a record holds of the job."""
    return {
        "job": job.job_id,
        "step": job.step_id,
        "step_node": kept.show(job.node),
        "nodes": job.nodes,
        "partition": kept("partition", job.partition),
        "account": kept("account", job.account),
        "qos": kept("qos", job.qos),
        "reservation": kept("reservation", job.reservation),
    }


def judged_fields(decision: Decision) -> dict[str, Any]:
    """Return what a record holds of a decision: what a replay must compute again."""
    return {
        "action": decision.action.word,
        "would_be": decision.would_be.word,
        "mode": decision.mode,
        "reasons": reason_lines(decision),
        "suppressed": decision.suppressed,
        "granted": decision.grant,
        "aside": tuple(map(_aside, decision.aside)) if decision.aside else (),
        "trust": decision.trust,
        "alarms": decision.alarms,
        "scope": decision.scope,
        "undecided": decision.undecided,
    }


_NO_FACTS = ImageFacts()
_UNCHANGED = raw.Unchanged(str)


def _facts(facts: ImageFacts, kept: raw.Keeper) -> ImageFacts:
    return msgspec.structs.replace(
        facts, owner=kept("owner", facts.owner), created=kept("created", facts.created)
    )


def _grant(grant: Grant, kept: raw.Keeper) -> Grant:
    return msgspec.structs.replace(
        grant, reason=kept("grant_reason", grant.reason), by=kept("grant_by", grant.by)
    )


def _aside(aside: Aside) -> Aside:
    return msgspec.structs.replace(aside, id=escape(aside.id, 256), text=escape(aside.text))


_reason_memo: dict[int, tuple[Decision, tuple[ReasonLine, ...]]] = {}
_REASON_MEMO = 1024


def reason_lines(decision: Decision) -> tuple[ReasonLine, ...]:
    """Return the decision's reasons as lines of the record; remembered, since warm launches share their decision."""
    held = _reason_memo.get(id(decision))
    if held is not None and held[0] is decision:
        return held[1]
    lines = tuple(
        ReasonLine(
            rule=reason.rule,
            action=reason.action.word,
            message=escape(reason.message),
            count=reason.count,
            findings=tuple(
                escape(f"{finding.vulnerability} {finding.package} {finding.version}", 256)
                for finding in reason.findings[:FINDINGS_LIMIT]
            ),
            clock=escape(reason.clock),
        )
        for reason in decision.reasons[:REASONS_LIMIT]
    )
    if len(_reason_memo) >= _REASON_MEMO:
        _reason_memo.clear()
    _reason_memo[id(decision)] = (decision, lines)
    return lines


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(AuditRecord)


def encode(record: AuditRecord) -> bytes:
    """Return the record as one line of JSON, newline included."""
    return _ENCODER.encode(record) + b"\n"


def decode(line: bytes) -> AuditRecord:
    """Return the record that a line holds; raises msgspec.DecodeError for a torn or foreign line."""
    return _DECODER.decode(line)
