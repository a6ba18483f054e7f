# SPDX-License-Identifier: Apache-2.0
"""The policy in force, and decisions remembered under everything that they read (design §3, law 1).

The key of a decision: policy digest, what is known (verdict digest, or state and cause), and the launch fields that
the policy says it reads. Kept until `valid_until`, the next instant at which a clock in it changes.
"""

from __future__ import annotations

import os
import syslog
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from sifgate import fsguard
from sifgate.admission.ports import Footing
from sifgate.agent.cache import Cache
from sifgate.agent.turns import Promise
from sifgate.errors import ConfigError, PolicyError
from sifgate.model.decision import Action, Decision
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import FailureCause, ScanState, Standing, Verdict
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.policy.fallback import fallback_policy
from sifgate.policy.load import load_policy, policy_files

DECISIONS_LIMIT = 4096
FINDINGS_LIMIT = 12_000
"""Findings of verdicts kept decoded, for notices and for other launches of the same image: some 12 MB."""

Offload = Callable[[Callable[[], Decision]], Promise[Decision]]
Key = tuple[object, ...]


class PolicyHolder:
    """The last good policy of a file; a bad reload keeps it and says so."""

    def __init__(self, path: Path, posture: Path) -> None:
        self._path = path
        self._posture = posture
        self.policy: Policy = fallback_policy()
        self.problem = "no policy has been loaded yet"
        """Why the file as it is cannot be used; empty: it is in force."""
        self.loaded_once = False
        self.posture_problem = ""

    def reload(self) -> str:
        """Read the file anew; return the problem, empty if it is in force now."""
        try:
            for file in policy_files(self._path):
                fsguard.check(file, owner_uid=os.geteuid())
            policy = load_policy(self._path)
        except (PolicyError, ConfigError) as error:
            self.problem = str(error)
            syslog.syslog(syslog.LOG_ALERT | syslog.LOG_DAEMON, f"sifgate: policy_invalid: {_line(error)}")
            return self.problem
        self.policy, self.problem, self.loaded_once = policy, "", True
        self._write_posture()
        return ""

    def _write_posture(self) -> None:
        """Put the posture file in place whole or not at all; shims read it when no agent answers."""
        content = self.policy.posture().encode()
        temporary = self._posture.with_name(f".{self._posture.name}.{os.getpid()}")
        try:
            if self._posture.exists() and self._posture.read_bytes() == content:
                self.posture_problem = ""
                return
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(self._posture)
            self.posture_problem = ""
        except OSError as error:
            temporary.unlink(missing_ok=True)
            self.posture_problem = f"{self._posture}: {error.strerror or error}"
            text = f"sifgate: posture not written: {self.posture_problem}"
            syslog.syslog(syslog.LOG_WARNING | syslog.LOG_DAEMON, text)


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

    def __init__(self, holder: PolicyHolder, verdicts: Verdicts, offload: Offload) -> None:
        self.holder = holder
        self.verdicts = verdicts
        self._offload = offload
        self._decisions: OrderedDict[Key, tuple[Decision, float]] = OrderedDict()
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

    def decide(self, footing: Footing, launch: LaunchEvent) -> Promise[Decision]:
        """Return a promise of the decision for this launch, now; kept already where it is remembered or cheap."""
        remembered = self._recall(self._key(self.holder.policy, footing, launch))
        if remembered is not None:
            return Promise.kept(remembered)
        if not footing.digest:
            return Promise.kept(self.decide_now(footing, launch))
        return self._offload(lambda: self.decide_now(footing, launch))

    def decide_now(self, footing: Footing, launch: LaunchEvent) -> Decision:
        """Return the decision, evaluated here; reads the verdict from disk where it must."""
        policy = self.holder.policy
        key = self._key(policy, footing, launch)
        if not self.holder.loaded_once:
            footing = Footing(cause=FailureCause.POLICY_INVALID, detail=_line(self.holder.problem))
        decision = evaluate(policy, self.standing(footing), launch, datetime.now(timezone.utc))
        self.evaluations += 1
        self._remember(key, decision)
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

    def unwritable(self, launch: LaunchEvent) -> Action:
        """Return what the policy does with a launch that cannot be recorded."""
        return self.decide_now(Footing(cause=FailureCause.AUDIT_UNWRITABLE), launch).action

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

    def _recall(self, key: Key) -> Decision | None:
        held = self._decisions.get(key)
        if held is None or time.time() >= held[1]:
            return None
        return held[0]

    def _remember(self, key: Key, decision: Decision) -> None:
        until = float("inf")
        if decision.valid_until:
            until = datetime.fromisoformat(decision.valid_until.replace("Z", "+00:00")).timestamp()
        with self._lock:
            self._decisions[key] = (decision, until)
            while len(self._decisions) > DECISIONS_LIMIT:
                self._decisions.popitem(last=False)


def _line(error: object) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
