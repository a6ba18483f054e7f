# SPDX-License-Identifier: Apache-2.0
"""From reviews to records, and from records to the reply; a verdict that comes too late is recorded here too."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from sifgate.admission.controller import Review
from sifgate.admission.ports import Footing
from sifgate.agent.alarms import Alarms
from sifgate.agent.budget import HOUR
from sifgate.agent.evidence import Evidence
from sifgate.agent.journal import Entry, Journal
from sifgate.agent.judge import Judge, moment
from sifgate.agent.loop import Loop
from sifgate.agent.once import Once, Shown
from sifgate.agent.scans import Scans
from sifgate.agent.session import Session
from sifgate.agent.turns import Promise
from sifgate.audit.record import AuditRecord, Stand, compose, encode, record_id
from sifgate.model.decision import Action
from sifgate.model.launch import Door, LaunchEvent
from sifgate.model.verdict import ScanState, Standing
from sifgate.policy.break_glass import ALARM as BREAK_GLASS
from sifgate.render.notice import notice


class Found(NamedTuple):
    """One launch of a conversation, reviewed."""

    review: Review
    record: AuditRecord | None
    """None: another door has recorded it."""
    reference: str


class Manner(NamedTuple):
    """How a conversation is answered, beside what was decided."""

    outcome: str
    """`decided` or `asked`, for the record."""
    detail: bool
    """Whether the reply carries record and decision."""
    audience: Callable[[], tuple[object, ...] | None]
    """Tells whom a warning is shown to (user, and job or session); None: nobody sees it, or nobody is told apart."""


class Answers:
    """Writes records and replies; used from the loop only."""

    def __init__(
        self,
        *,
        node: str,
        loop: Loop,
        judge: Judge,
        scans: Scans,
        journal: Journal,
        once: Once,
        evidence: Evidence,
        alarms: Alarms,
    ) -> None:
        self.node = node
        self._loop = loop
        self._judge = judge
        self._scans = scans
        self._journal = journal
        self._once = once
        self._evidence = evidence
        self._alarms = alarms
        self._shown = Shown()
        self.decided: dict[str, int] = {action.word: 0 for action in Action}
        """Decisions since start, by action."""
        self.by_door: Counter[str] = Counter()
        """Records since start, by door."""
        scans.late = self._late

    def record(self, session: Session, found: Review, outcome: str) -> AuditRecord:
        """Return the record of one review, made now."""
        record = self._compose(found, outcome, (time.monotonic() - session.arrived - session.pulled) * 1000)
        if found.decision is found.own or found.decision == found.own:
            return record
        return msgspec.structs.replace(record, kept_by="server")

    async def give(self, session: Session, launches: list[Found], manner: Manner) -> None:
        """Queue the records, and the reply behind them: the worst of the launches decides."""
        worst = max(launches, key=lambda found: found.review.decision.action)
        review = worst.review
        action = review.decision.action
        text = ""
        if action >= Action.WARN:
            standing = await self._standing(review.footing)
            text = notice(review.decision, standing, review.launch, worst.reference)
        fields = _reply(action, text, worst.reference)
        if review.footing.cause is not None:
            fields.append(("local", b"1"))
        if action is Action.WARN and self._seen(review, manner):
            fields.append(("quiet", b"1"))
        if len(launches) == 1 and review.launch.word > 0 and session.identity is not None:
            fields.append(("word", b"%d" % review.launch.word))
        if manner.detail:
            body = msgspec.json.encode({"record": worst.record, "decision": review.decision})
            fields.append(("body", body))
        lines = self._take_down(launches, manner.outcome)  # none: the record that stands for it goes before
        self._journal.add(
            Entry(
                lines=b"".join(lines),
                records=len(lines),
                durable=action is Action.BLOCK,
                send=lambda: session.finish("decision", fields),
                unwritable=lambda: self._unwritable(session, worst),
            )
        )

    def _take_down(self, launches: list[Found], outcome: str) -> list[bytes]:
        """Return the lines of the records, counted."""
        lines = []
        for review, record, _ in launches:
            if record is None:
                self._scans.passed(review.asked or review.launch, "", review.launch)
                continue
            lines.append(encode(record))
            self.decided[review.decision.action.word] += 1
            self.by_door[review.launch.door.value] += 1
            passed = outcome == "decided" and review.decision.action is not Action.BLOCK
            self._scans.passed(review.asked or review.launch, record.id if passed else "", review.launch)
            self._alarm(review)
            if outcome == "decided":
                self._judge.settle(review.footing, review.decision, review.at)
        return lines

    def _alarm(self, review: Review) -> None:
        """Tell the site what the decision wants it to be told at once."""
        decision, launch = review.decision, review.launch
        for name in decision.alarms:
            if name == BREAK_GLASS and launch.grant is not None:
                grant = launch.grant
                what = f"{launch.requester.user or launch.requester.uid} starts {launch.reference.text}"
                text = f"{what}, refused but for grant {grant.id} (until {grant.ends}): {grant.reason}"
                self._alarms.ring(name, (grant.id, launch.reference.text), text)
            else:
                text = f"the fail-open budget of {self.node} is used up until the hour ends"
                self._alarms.ring(name, int(review.at) // HOUR, text)

    def _seen(self, review: Review, manner: Manner) -> bool:
        """Return whether the warning was shown to this audience before; from now on it was."""
        audience = manner.audience()
        if audience is None:
            return False
        reasons = tuple(reason.rule for reason in review.decision.reasons)
        launch = review.launch
        alike = (*audience, review.footing.fingerprint or launch.reference.text, reasons)
        before = self._shown.again(alike)
        if launch.door in _UNPACKED:
            return before
        return self._shown.again((*alike, launch.reference.path or launch.reference.text))

    def _standing(self, footing: Footing) -> Promise[Standing]:
        if not footing.digest or self._judge.verdicts.held(footing.digest) is not None:
            return Promise.kept(self._judge.standing(footing))
        return self._loop.offload(lambda: self._judge.standing(footing), quick=True)

    def _unwritable(self, session: Session, found: Found) -> None:
        """Reply under the policy's `audit_unwritable`: the decision itself cannot be proved."""
        self._once.forget()
        action = self._judge.unwritable(found.review.launch).action
        text = ""
        if action >= Action.WARN:
            text = f"sifgate: launch {_DONE[action]}: no audit record can be written on {self.node}\n"
        session.finish("decision", _reply(action, text, found.reference))

    def _late(self, footing: Footing, launch: LaunchEvent, record: str) -> None:
        """Judge a launch that has passed as pending by the verdict that came afterwards."""
        if footing.state is ScanState.PENDING or footing.cause is not None:
            return
        case = self._judge.prepare(footing, launch)
        promise = self._judge.decide(*case)

        def judged() -> None:
            decision = promise.result()
            if decision.would_be is not Action.BLOCK:
                return
            own = Review(case.launch, case.footing, decision, decision, at=case.at)
            self._journal.note(encode(self._would_have(own, record)))

        if promise.done:
            judged()
        else:
            promise.waiter = judged

    def _would_have(self, found: Review, record: str) -> AuditRecord:
        return msgspec.structs.replace(self._compose(found, "would_have_blocked"), of=record)

    def _name(self, found: Review) -> None:
        """Have what the record names kept as long as the record is."""
        self._evidence.named(found.decision.policy_digest)
        verdict = found.footing.digest
        if verdict and not self._evidence.named(verdict):
            self._loop.offload(lambda: self._evidence.mend(verdict), quick=True)

    def _compose(self, found: Review, outcome: str, latency_ms: float = 0.0) -> AuditRecord:
        now = found.at or moment()
        self._name(found)
        return compose(
            record_id(now, os.urandom(6)),
            now=now,
            node=self.node,
            launch=found.launch,
            decision=found.decision,
            stand=_stand(found.footing),
            latency_ms=latency_ms,
            outcome=outcome,
        )


_UNPACKED = frozenset({Door.OCI_HOOK, Door.ENROOT_HOOK})
"""Doors at which each start of an image has a path of its own: equal packages are the same image there."""
_DONE = {Action.WARN: "not recorded", Action.BLOCK: "refused"}


def _stand(footing: Footing) -> Stand:
    return Stand(
        state=footing.state.value if footing.state else "",
        cause=footing.cause.value if footing.cause else "",
        unscannable=footing.unscannable.value if footing.unscannable else "",
        detail=footing.detail,
        fingerprint=footing.fingerprint,
        verdict=footing.digest,
        generation=footing.generation,
    )


def _reply(action: Action, text: str, reference: str) -> list[tuple[str, bytes]]:
    fields = [("action", action.word.encode()), ("reference", reference.encode())]
    if text:
        fields.append(("notice", text.encode("utf-8", "replace")))
    if action is Action.WARN:
        fields.append(("once", b"1"))
    return fields
