# SPDX-License-Identifier: Apache-2.0
"""The verbs `ask` and `prescan`: from a message to reviews, records and the reply."""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from sifgate import wire
from sifgate.admission.controller import Review, review
from sifgate.admission.ports import Footing, Ports
from sifgate.agent.jobs import Jobs
from sifgate.agent.journal import Entry, Journal
from sifgate.agent.judge import Judge
from sifgate.agent.loop import Loop
from sifgate.agent.parses import Parses
from sifgate.agent.peer import NameCache, job_of
from sifgate.agent.request import QUICK_BYTES, Asker, asker_of, launches_of, uid_of
from sifgate.agent.scans import Scans
from sifgate.agent.session import Session
from sifgate.agent.shares import FairShares, PendingPasses
from sifgate.agent.steps import Steps
from sifgate.agent.turns import Promise
from sifgate.audit.record import AuditRecord, Stand, compose, encode, record_id
from sifgate.model.decision import Action, Decision
from sifgate.model.launch import Door, JobFacts, LaunchEvent
from sifgate.model.verdict import ScanState, Standing
from sifgate.render.notice import notice, waiting

LAUNCHING = frozenset(
    {Door.SPANK, Door.WRAPPER, Door.APPTAINER_PLUGIN, Door.OCI_HOOK, Door.ENROOT_HOOK, Door.GUARD}
)
"""Doors behind which something starts; through the others somebody only wants to know."""
THROTTLE = 0.25
"""Seconds that an ask over the share is put off."""
_NO_JOB = JobFacts()


class Launches:
    """Answers `ask` and `prescan`."""

    def __init__(
        self,
        *,
        node: str,
        loop: Loop,
        judge: Judge,
        scans: Scans,
        steps: Steps,
        passes: PendingPasses,
        shares: FairShares,
        names: NameCache,
        journal: Journal,
        jobs: Jobs,
        parses: Parses,
        deadline: float,
    ) -> None:
        self.node = node
        self._loop = loop
        self._judge = judge
        self._scans = scans
        self._steps = steps
        self._passes = passes
        self._shares = shares
        self._names = names
        self._journal = journal
        self._jobs = jobs
        self._parses = parses
        self._deadline = deadline
        self.decided: dict[str, int] = {action.word: 0 for action in Action}
        """Decisions since start, by action."""
        scans.late = self._late

    async def ask(self, session: Session, message: wire.Message) -> None:
        """Answer one launch as it is about to happen."""
        await self._answer(session, message, patient=True)

    async def prescan(self, session: Session, message: wire.Message) -> None:
        """Answer with what is known now, and have the rest found out."""
        await self._answer(session, message, patient=False)

    async def asker(self, session: Session, message: wire.Message) -> Asker:
        """Return who asks; puts off a peer that asks too often."""
        peer = session.peer
        while not self._shares.asks.take(peer.uid):
            await self._pause(THROTTLE)
        uid = uid_of(message, peer)
        names = self._names.at_once(uid) or await self._names.of(uid)
        asker = asker_of(message, peer, names, job_of(peer) if peer.uid else _NO_JOB)
        if not asker.requester.trusted or asker.job.job_id <= 0:
            return asker
        if asker.door is Door.PROLOG:
            self._jobs.learn(asker.job)
            return asker
        return msgspec.structs.replace(asker, job=await self._whole(asker.job))

    async def launches(self, message: wire.Message, asker: Asker) -> tuple[LaunchEvent, ...]:
        """Return the launches that a message tells of; a long one is parsed beside the loop."""
        if message.size <= QUICK_BYTES:
            return launches_of(message, asker)
        return await self._parses.of(asker.requester.uid, lambda: launches_of(message, asker))

    async def _whole(self, job: JobFacts) -> JobFacts:
        """Return the job's facts with those that its owner could have forged at this door (`sifgate.agent.jobs`)."""
        known = self._jobs.complete(job)
        if known is not None or not self._judge.reads_job:
            return known or job
        return await self._loop.offload(lambda: self._jobs.find_out(job), quick=True)

    async def _answer(self, session: Session, message: wire.Message, *, patient: bool) -> None:
        asker = await self.asker(session, message)
        launches = await self.launches(message, asker)
        if not launches:
            session.finish("decision", [("action", b"allow")])
            return
        end = time.monotonic() + (self._patience(message, asker.door) if patient else 0.0)
        starts = patient and asker.door in LAUNCHING
        ports = Ports(
            shim=session,
            images=Patience(session, self._scans),
            judge=self._judge,
            passes=self._passes if starts else Unlimited(),
            steps=self._steps if starts else Alone(),
        )
        reviews: list[Review] = []
        for launch in launches:
            reviews.append(await review(launch, ports, patience=max(0.0, end - time.monotonic())))
            if reviews[-1].decision.action is Action.BLOCK:
                break
        detail = message.first("detail") == b"1"
        await self._conclude(session, reviews, "decided" if starts else "asked", detail=detail)

    def _patience(self, message: wire.Message, door: Door) -> float:
        """Return the seconds that this conversation may last in all."""
        most = self._judge.scan_wait if door in LAUNCHING else self._deadline
        milliseconds = message.number("deadline_ms", -1)
        if milliseconds < 0:
            return min(most, self._judge.scan_wait)
        return min(most, milliseconds / 1000)

    async def _conclude(self, session: Session, reviews: list[Review], outcome: str, *, detail: bool) -> None:
        records = [self._record(session, found, outcome) for found in reviews]
        worst = max(range(len(reviews)), key=lambda index: reviews[index].decision.action)
        found, record = reviews[worst], records[worst]
        action = found.decision.action
        text = ""
        if action >= Action.WARN:
            standing = await self._standing(found.footing)
            text = notice(found.decision, standing, found.launch, record.reference)
        fields = _reply(action.word, text, record.reference, once=action is Action.WARN)
        if found.footing.cause is not None:
            fields.append(("local", b"1"))
        if detail:
            body = msgspec.json.encode({"record": record, "decision": found.decision})
            fields.append(("body", body))
        for each, line in zip(reviews, records, strict=True):
            self.decided[each.decision.action.word] += 1
            passed = outcome == "decided" and each.decision.action is not Action.BLOCK
            self._scans.passed(each.launch, line.id if passed else "")
        self._journal.add(
            Entry(
                lines=b"".join([encode(line) for line in records]),
                records=len(records),
                durable=action is Action.BLOCK,
                send=lambda: session.finish("decision", fields),
                unwritable=lambda: self._unwritable(session, found, record),
            )
        )

    def _record(self, session: Session, found: Review, outcome: str) -> AuditRecord:
        record = compose(
            record_id(time.time(), os.urandom(6)),
            now=time.time(),
            node=self.node,
            launch=found.launch,
            decision=found.decision,
            stand=_stand(found.footing),
            latency_ms=(time.monotonic() - session.arrived) * 1000,
            outcome=outcome,
        )
        if found.decision is found.own or found.decision == found.own:
            return record
        return msgspec.structs.replace(record, kept_by="server")

    def _standing(self, footing: Footing) -> Promise[Standing]:
        if not footing.digest or self._judge.verdicts.held(footing.digest) is not None:
            return Promise.kept(self._judge.standing(footing))
        return self._loop.offload(lambda: self._judge.standing(footing), quick=True)

    def _unwritable(self, session: Session, found: Review, record: AuditRecord) -> None:
        """Reply under the policy's `audit_unwritable`: the decision itself cannot be proved."""
        action = self._judge.unwritable(found.launch)
        text = ""
        if action >= Action.WARN:
            text = f"sifgate: launch {_DONE[action]}: no audit record can be written on {self.node}\n"
        session.finish("decision", _reply(action.word, text, record.reference, once=True))

    def _late(self, footing: Footing, launch: LaunchEvent, record: str) -> None:
        """Judge a launch that has passed as pending by the verdict that came afterwards."""
        if footing.state is ScanState.PENDING or footing.cause is not None:
            return
        promise = self._judge.decide(footing, launch)

        def judged() -> None:
            decision = promise.result()
            if decision.would_be is Action.BLOCK:
                self._journal.note(encode(self._would_have(footing, launch, decision, record)))

        if promise.done:
            judged()
        else:
            promise.waiter = judged

    def _would_have(
        self, footing: Footing, launch: LaunchEvent, decision: Decision, record: str
    ) -> AuditRecord:
        late = compose(
            record_id(time.time(), os.urandom(6)),
            now=time.time(),
            node=self.node,
            launch=launch,
            decision=decision,
            stand=_stand(footing),
            outcome="would_have_blocked",
        )
        return msgspec.structs.replace(late, of=record)

    def _pause(self, seconds: float) -> Promise[None]:
        promise: Promise[None] = Promise()
        self._loop.later(seconds, lambda: promise.keep(None))
        return promise


class Patience:
    """The port `Images` of one conversation: tells the user that there is something to wait for."""

    def __init__(self, session: Session, scans: Scans) -> None:
        self._session = session
        self._scans = scans

    def recall(self, descriptor: int) -> Footing | None:
        """See `Images.recall`."""
        return self._scans.recall(descriptor, self._session.identity)

    def find_out(self, descriptor: int, launch: LaunchEvent, patience: float) -> Promise[Footing]:
        """See `Images.find_out`; says so once it takes longer than a moment."""
        promise = self._scans.find_out(descriptor, launch, patience)
        if patience > 0 and not promise.done:
            self._session.wait(waiting(launch, patience))
        return promise


class Unlimited:
    """The port `Passes` where nothing starts: a question uses nothing up."""

    def take(self, uid: int, path: str) -> bool:
        """See `Passes.take`."""
        del uid, path
        return True


class Alone:
    """The port `Steps` where nothing starts."""

    def keep_first(self, launch: LaunchEvent, footing: Footing, decision: Decision) -> Promise[Decision]:
        """See `Steps.keep_first`."""
        del launch, footing
        return Promise.kept(decision)


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


def _reply(action: str, text: str, reference: str, *, once: bool) -> list[tuple[str, bytes]]:
    fields: list[tuple[str, Any]] = [("action", action.encode()), ("reference", reference.encode())]
    if text:
        fields.append(("notice", text.encode("utf-8", "replace")))
    if once:
        fields.append(("once", b"1"))
    return fields
