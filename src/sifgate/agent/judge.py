# SPDX-License-Identifier: Apache-2.0
"""Decisions, remembered under everything that they read (design §3, law 1).

The key of a decision: policy digest, what is known (verdict digest, or state and cause), and the launch fields that
the policy says it reads, grant and budget among them. Kept until `valid_until`, the next instant at which a clock in it
changes. The moment that a decision is made for, whole milliseconds, is the one in its record, remembered or not.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import msgspec

from sifgate.admission.ports import Case, Footing
from sifgate.agent.budget import Budget
from sifgate.agent.cache import Cache
from sifgate.agent.grants import Grants
from sifgate.agent.holder import PolicyHolder, first_line
from sifgate.agent.turns import Promise
from sifgate.model.decision import Action, Decision
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import FailureCause, ScanState, Standing, Verdict
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate

DECISIONS_LIMIT = 4096
FINDINGS_LIMIT = 12_000
"""Findings of verdicts kept decoded, for notices and for other launches of the same image: some 12 MB."""

Offload = Callable[[Callable[[], Decision]], Promise[Decision]]
Key = tuple[object, ...]


class Verdicts:
    """Verdicts decoded, the few most recently used; the rest is read from the node's disk when needed."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._held: OrderedDict[str, Verdict] = OrderedDict()
        self._findings = 0
        self._lock = threading.Lock()

    def held(self, digest: str) -> Verdict | None:
        """Return a verdict if it is decoded already; never waits."""
        return self._held.get(digest)

    def get(self, footing: Footing) -> Verdict | None:
        """Return the verdict of a footing; None where the disk has lost it. May read the disk."""
        verdict = self._held.get(footing.digest)
        if verdict is None:
            verdict = self._cache.load(footing.fingerprint)
            if verdict is not None:
                self.put(footing.digest, verdict)
        return verdict

    def put(self, digest: str, verdict: Verdict) -> None:
        """Keep a verdict decoded."""
        with self._lock:
            if digest in self._held:
                self._held.move_to_end(digest)
                return
            self._held[digest] = verdict
            self._findings += len(verdict.findings)
            while self._findings > FINDINGS_LIMIT and len(self._held) > 1:
                _, old = self._held.popitem(last=False)
                self._findings -= len(old.findings)


class Judge:
    """Decides; warm launches from memory, in the loop."""

    def __init__(
        self,
        holder: PolicyHolder,
        verdicts: Verdicts,
        offload: Offload,
        *,
        grants: Grants | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.holder = holder
        self.verdicts = verdicts
        self.budget = budget or Budget()
        self._grants = grants
        self._offload = offload
        self._decisions: OrderedDict[Key, tuple[Decision, float, float]] = OrderedDict()
        self._lock = threading.Lock()
        self.evaluations = 0

    @property
    def scan_wait(self) -> float:
        """Seconds that a launch waits for a scan."""
        return self.holder.policy.scan_wait

    @property
    def reads_job(self) -> bool:
        """Whether a decision may depend on the job's partition, account, QOS or reservation."""
        return any(name.startswith("job.") for name in self.holder.policy.launch_fields)

    @property
    def policy_digest(self) -> str:
        """Digest of the policy in force."""
        return self.holder.policy.digest

    def prepare(self, footing: Footing, launch: LaunchEvent) -> Case:
        """See the port `Judge`: grant and budget as they are now, if the policy reads them."""
        at = moment()
        footing = self._usable(footing)
        policy = self.holder.policy
        if self._grants is not None and len(self._grants) and policy.break_glass is not None:
            grant = self._grants.of(launch.requester.uid, at)
            launch = launch if grant is None else msgspec.structs.replace(launch, grant=grant)
        if footing.cause is not None and policy.fail_open_budget is not None:
            spent = self.budget.is_spent(policy.fail_open_budget.per_hour, at)
            launch = msgspec.structs.replace(launch, budget_spent=spent)
        return Case(footing, launch, at)

    def _usable(self, footing: Footing) -> Footing:
        """Return what is judged: the lack of a policy in place of anything else, where none was ever good."""
        if self.holder.loaded_once:
            return footing
        return Footing(cause=FailureCause.POLICY_INVALID, detail=first_line(self.holder.problem))

    def decide(self, footing: Footing, launch: LaunchEvent, at: float | None = None) -> Promise[Decision]:
        """Return a promise of the decision at `at`, else now; kept already where it is remembered or cheap."""
        moment_of = moment() if at is None else at
        remembered = self._recall(self._key(self.holder.policy, footing, launch), moment_of)
        if remembered is not None:
            return Promise.kept(remembered)
        if not footing.digest:
            return Promise.kept(self.decide_now(footing, launch, moment_of))
        return self._offload(lambda: self.decide_now(footing, launch, moment_of))

    def decide_now(self, footing: Footing, launch: LaunchEvent, at: float | None = None) -> Decision:
        """Return the decision, evaluated here; reads the verdict from disk where it must."""
        moment_of = moment() if at is None else at
        policy = self.holder.policy
        key = self._key(policy, footing, launch)
        decision = evaluate(policy, self.standing(self._usable(footing)), launch, clock(moment_of))
        self.evaluations += 1
        self._remember(key, decision, moment_of)
        return decision

    def standing(self, footing: Footing) -> Standing:
        """Return the whole standing of a footing, verdict included."""
        if not footing.digest:
            return footing.standing
        verdict = self.verdicts.get(footing)
        if verdict is None:
            detail = "the node's copy of the verdict is gone"
            return Standing(state=ScanState.PENDING, detail=detail, fingerprint=footing.fingerprint)
        return Standing(
            state=footing.state,
            detail=footing.detail,
            verdict=verdict,
            fingerprint=footing.fingerprint,
            digest=footing.digest,
        )

    def unwritable(self, launch: LaunchEvent) -> Decision:
        """Return what the policy does with a launch that cannot be recorded; one that passes is counted."""
        footing = Footing(cause=FailureCause.AUDIT_UNWRITABLE)
        case = self.prepare(footing, launch)
        decision = self.decide_now(*case)
        self.settle(case.footing, decision, case.at)
        return decision

    def settle(self, footing: Footing, decision: Decision, at: float) -> None:
        """Count a launch that goes on although sifgate could not do its work."""
        if footing.cause is not None and decision.action is not Action.BLOCK:
            self.budget.count(at)

    def forget(self) -> None:
        """Drop all remembered decisions (they also die by key when the policy changes)."""
        with self._lock:
            self._decisions.clear()

    @staticmethod
    def _key(policy: Policy, footing: Footing, launch: LaunchEvent) -> Key:
        return (
            policy.digest,
            footing.digest,
            footing.state,
            footing.cause,
            footing.unscannable,
            footing.detail,
            policy.launch_key(launch),
        )

    def _recall(self, key: Key, at: float) -> Decision | None:
        """Return the decision remembered, if no clock in it lies between its own moment and `at`."""
        held = self._decisions.get(key)
        if held is None or not held[1] <= at < held[2]:
            return None
        return held[0]

    def _remember(self, key: Key, decision: Decision, at: float) -> None:
        until = float("inf")
        if decision.valid_until:
            until = datetime.fromisoformat(decision.valid_until.replace("Z", "+00:00")).timestamp()
        with self._lock:
            self._decisions[key] = (decision, at, until)
            while len(self._decisions) > DECISIONS_LIMIT:
                self._decisions.popitem(last=False)


def moment() -> float:
    """Return the clock that judges and is recorded: seconds since 1970, whole milliseconds."""
    return time.time_ns() // 1_000_000 / 1000


def clock(at: float) -> datetime:
    """Return a moment as the evaluator takes it, exact to the millisecond."""
    return _EPOCH + timedelta(milliseconds=round(at * 1000))


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
