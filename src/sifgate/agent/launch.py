# SPDX-License-Identifier: Apache-2.0
"""The verbs `ask` and `prescan`: from a message to reviews, records and the reply."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from functools import partial

import msgspec

from sifgate import wire
from sifgate.admission.controller import Review, review
from sifgate.admission.ports import Footing, Ports, Told
from sifgate.agent.answers import Answers, Found, Manner
from sifgate.agent.bundle import Bundles
from sifgate.agent.facts import Facts
from sifgate.agent.jobs import Jobs
from sifgate.agent.judge import Judge
from sifgate.agent.loop import Loop
from sifgate.agent.once import Meeting, Once
from sifgate.agent.parses import Parses
from sifgate.agent.peer import NameCache, job_of
from sifgate.agent.podman import Vouched
from sifgate.agent.process import process_of
from sifgate.agent.request import QUICK_BYTES, Asker, asker_of, launches_of, pid_of, uid_of
from sifgate.agent.scans import Scans
from sifgate.agent.session import Session
from sifgate.agent.shares import FairShares, PendingPasses
from sifgate.agent.steps import Steps
from sifgate.agent.turns import Promise
from sifgate.model.decision import Action, Decision
from sifgate.model.image import ImageFacts
from sifgate.model.launch import Door, JobFacts, LaunchEvent
from sifgate.render.notice import waiting

LAUNCHING = frozenset(
    {Door.SPANK, Door.WRAPPER, Door.APPTAINER_PLUGIN, Door.OCI_HOOK, Door.ENROOT_HOOK, Door.GUARD}
)
"""Doors behind which something starts; through the others somebody only wants to know."""
BEFORE_THE_RUNTIME = frozenset({Door.SPANK, Door.PROLOG, Door.SUBMIT})
"""Doors that a launch meets before its runtime has pulled anything."""
SCAN_IS_SHORT = 0.3
"""Seconds that a scan may take before the user is told that there is something to wait for."""
THROTTLE = 0.25
"""Seconds that an ask over the share is put off."""
_NO_JOB = JobFacts()


class Launches:
    """Answers `ask` and `prescan`."""

    def __init__(
        self,
        *,
        answers: Answers,
        once: Once,
        loop: Loop,
        judge: Judge,
        scans: Scans,
        facts: Facts,
        steps: Steps,
        passes: PendingPasses,
        shares: FairShares,
        names: NameCache,
        jobs: Jobs,
        parses: Parses,
        bundles: Bundles,
        deadline: float,
        judged_when_pulled: bool,
    ) -> None:
        self._answers = answers
        self._once = once
        self._loop = loop
        self._judge = judge
        self._scans = scans
        self._facts = facts
        self._steps = steps
        self._passes = passes
        self._shares = shares
        self._names = names
        self._jobs = jobs
        self._parses = parses
        self._bundles = bundles
        self._deadline = deadline
        self._judged_when_pulled = judged_when_pulled

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
        pid = pid_of(message, peer)
        foreign = peer.uid != 0 or pid != peer.pid
        asker = asker_of(message, peer, names, job_of(pid) if foreign else _NO_JOB)
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
        launches: tuple[LaunchEvent, ...]
        voucher: Vouched | None = None
        if message.first("state"):
            launch, voucher = await self._bundles.launch(session, message, asker)
            launches = (launch,)
        else:
            launches = await self.launches(message, asker)
        if not launches:
            session.finish("decision", [("action", b"allow")])
            return
        patient = patient and asker.door is not Door.SUBMIT
        starts = patient and asker.door in LAUNCHING
        pid = pid_of(message, session.peer)
        meeting = Meeting(self._once, pid, session, self._passes) if starts else None
        session.pulls = starts and message.first("can") != b"" and b"pull" in message.every("can")
        images = Patience(session, self._scans, self._facts, self._loop, voucher)
        ports = Ports(
            shim=session,
            images=images,
            judge=self._judge,
            passes=meeting or Unlimited(),
            steps=self._steps if starts else Alone(),
            past=meeting or Nothing(),
            judged_when_pulled=self._judged_when_pulled and asker.door in BEFORE_THE_RUNTIME,
        )
        outcome = "decided" if starts else "asked"
        end = time.monotonic() + (self._patience(message, asker.door) if patient else 0.0)
        found: list[Found] = []
        for launch in launches:
            session.identity = None
            left = end + session.pulled - time.monotonic()
            reviewed = await review(launch, ports, patience=max(0.0, left))
            images.learn(reviewed.footing)
            found.append(self._settle(session, reviewed, meeting, outcome))
            if reviewed.decision.action is Action.BLOCK:
                break
        detail = message.first("detail") == b"1"
        await self._answers.give(
            session, found, Manner(outcome, detail, partial(_audience, message, asker, pid if starts else 0))
        )

    def _settle(self, session: Session, reviewed: Review, meeting: Meeting | None, outcome: str) -> Found:
        if reviewed.told:
            return Found(reviewed, None, reviewed.told)
        record = self._answers.record(session, reviewed, outcome)
        if meeting is not None:
            own = Told(reviewed.footing, reviewed.decision, record.reference)
            told = meeting.settle(reviewed.launch, own)
            if told is not own:
                return Found(reviewed, None, told.reference)
        return Found(reviewed, record, record.reference)

    def _patience(self, message: wire.Message, door: Door) -> float:
        """Return the seconds that this conversation may last in all."""
        most = self._judge.scan_wait if door in LAUNCHING else self._deadline
        milliseconds = message.number("deadline_ms", -1)
        if milliseconds < 0:
            return min(most, self._judge.scan_wait)
        return min(most, milliseconds / 1000)

    def _pause(self, seconds: float) -> Promise[None]:
        promise: Promise[None] = Promise()
        self._loop.later(seconds, lambda: promise.keep(None))
        return promise


class Patience:
    """The port `Images` of one conversation: tells the user that there is something to wait for."""

    def __init__(
        self, session: Session, scans: Scans, facts: Facts, loop: Loop, voucher: Vouched | None = None
    ) -> None:
        self._session = session
        self._loop = loop
        self._scans = scans
        self._facts = facts
        self._voucher = voucher

    def recall(self, descriptor: int) -> Footing | None:
        """See `Images.recall`."""
        name = self._name
        known = self._scans.recall_image(name) if name else None
        return known or self._scans.recall(descriptor, self._session.identity)

    def find_out(self, descriptor: int, launch: LaunchEvent, patience: float) -> Promise[Footing]:
        """See `Images.find_out`; says so once it takes longer than a moment."""
        promise = self._scans.find_out(descriptor, launch, patience)
        if patience > SCAN_IS_SHORT and not promise.done:
            self._loop.later(SCAN_IS_SHORT, lambda: self._tell(promise, waiting(launch, patience)))
        return promise

    def describe(self, descriptor: int, launch: LaunchEvent, patience: float) -> Awaitable[ImageFacts] | None:
        """See `Images.describe`."""
        return self._facts.of(descriptor, self._session.identity, launch.requester.uid, patience)

    def _tell(self, promise: Promise[Footing], text: str) -> None:
        if not promise.done and not self._session.closed:
            self._session.wait(text)

    def learn(self, footing: Footing) -> None:
        """Remember what was found out under the name that root's storage vouches for."""
        name = self._name
        if name and footing.fingerprint and self._scans.memo.of_image(name) is None:
            self._scans.memo.keep_image(name, footing.fingerprint)

    @property
    def _name(self) -> tuple[str, ...]:
        """Return the name, if the shim has opened the very directory that it is vouched for."""
        voucher, identity = self._voucher, self._session.identity
        if voucher is None or identity is None:
            return ()
        return voucher.key if (identity.device, identity.inode) == (voucher.device, voucher.inode) else ()


class Unlimited:
    """The port `Passes` where nothing starts: a question uses nothing up."""

    def take(self, uid: int, path: str) -> bool:
        """See `Passes.take`."""
        del uid, path
        return True


class Nothing:
    """The port `Past` where nothing starts."""

    def told(self, launch: LaunchEvent) -> Told | None:
        """See `Past.told`."""
        del launch
        return None


class Alone:
    """The port `Steps` where nothing starts."""

    def keep_first(self, launch: LaunchEvent, footing: Footing, decision: Decision) -> Promise[Decision]:
        """See `Steps.keep_first`."""
        del launch, footing
        return Promise.kept(decision)


def _audience(message: wire.Message, asker: Asker, pid: int) -> tuple[object, ...] | None:
    """Return who sees a warning once: a job's user, else the terminal session; None where nobody is shown one here.

    `pid` is 0 where nothing starts.
    """
    if not pid or message.number("rank") > 0:
        return None
    uid = asker.requester.uid
    job = asker.job.job_id or asker.claimed.get("job", "")
    if job:
        return (uid, "job", str(job))
    process = process_of(pid)
    return (uid, "session", process.session) if process is not None and process.session else None
