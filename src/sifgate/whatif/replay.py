# SPDX-License-Identifier: Apache-2.0
"""Every recorded decision computed again, with its own policy, verdict and clock, by the one evaluator.

A record that could not be computed again is counted under the reason, never as equal. Streaming: what is remembered
are policies, decisions (law 1) and a bounded number of verdicts.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from sifgate.audit.notes import BREAK_GLASS
from sifgate.audit.pseudonym import touched
from sifgate.audit.record import CHAIN, SCHEMA, AuditRecord, decode, judged_fields
from sifgate.model.decision import Decision
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import ScanState, Standing, Verdict
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.policy.fallback import fallback_policy
from sifgate.policy.memo import Memo
from sifgate.whatif.recorded import Verdicts, launch_of, standing_of

SHOWN = 100
"""Differences that are listed; all are counted."""
FINDINGS = 60_000
"""Findings of verdicts held at a time."""
HELD = frozenset(
    {
        "door", "requester.uid", "requester.gid", "requester.user", "requester.groups", "requester.trusted",
        "reference.kind", "reference.path", "job.job_id", "job.step_id", "job.nodes", "job.partition", "job.account",
        "job.qos", "job.reservation", "content_injected", "image.owner", "image.created", "image.digest",
        "image.signers", "grant", "budget_spent",
    }
)  # fmt: skip
"""Launch fields that a record holds; a policy that reads another one cannot be replayed."""


class Difference(msgspec.Struct, frozen=True):
    """One field of one record that is computed differently now."""

    id: str
    reference: str
    time: str
    field: str
    recorded: str
    computed: str


class Replayed(msgspec.Struct):
    """What came of it."""

    same: int = 0
    different: int = 0
    """Records with at least one difference."""
    differences: list[Difference] = []
    apart: dict[str, int] = {}
    """Records that are no decision of the node's policy, by what they are."""
    lacking: dict[str, int] = {}
    """Records that could not be computed again, by what was lacking."""
    unreadable: int = 0

    @property
    def records(self) -> int:
        """Return how many records were read."""
        return self.same + self.different + sum(self.apart.values()) + sum(self.lacking.values())


class Replay:
    """One run over records in any order; fastest where equal verdicts lie together, or are few."""

    def __init__(self, policies: Callable[[str], Policy | str], verdicts: Verdicts) -> None:
        self._policies = policies
        self._verdicts = Shelf(verdicts)
        self._memos: dict[str, Memo] = {}
        self._posture = fallback_policy().digest
        self._found = Replayed()
        self._apart: Counter[str] = Counter()
        self._lacking: Counter[str] = Counter()

    def run(self, lines: Iterable[bytes], *, since: str = "", until: str = "~") -> Replayed:
        """Return what became of the records with a time from `since` on and before `until` (ISO, UTC)."""
        for line in lines:
            try:
                record = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._found.unreadable += 1
                continue
            if since <= record.time < until:
                self._see(record)
        self._found.apart, self._found.lacking = dict(self._apart), dict(self._lacking)
        return self._found

    def _see(self, record: AuditRecord) -> None:
        kind = self._kind(record)
        if kind:
            self._apart[kind] += 1
            return
        try:
            decision = self._decide(record)
        except _Lacking as error:
            self._lacking[str(error)] += 1
        except ValueError as error:
            self._lacking[f"the record cannot be read back: {error}"] += 1
        else:
            self._compare(record, decision)

    def _kind(self, record: AuditRecord) -> str:
        """Return why a record is none of a decision that this node's policy made; empty: it is one."""
        if record.outcome in (CHAIN, BREAK_GLASS):
            return record.outcome
        if record.kept_by:
            return f"kept_by {record.kept_by}"
        if record.policy == self._posture:
            return "posture"
        if not record.state and not record.cause:
            return "judged elsewhere"
        if record.schema < SCHEMA:
            return "schema 1"
        return ""

    def _decide(self, record: AuditRecord) -> Decision:
        policy = self._policies(record.policy)
        if isinstance(policy, str):
            raise _Lacking(f"policy {record.policy}: {policy}")
        unheld = policy.launch_fields - HELD
        if unheld:
            raise _Lacking(f"the policy reads what records do not hold: {', '.join(sorted(unheld))}")
        hidden = touched(record.pseudonymised, policy.launch_fields)
        if hidden:
            raise _Lacking(f"the policy reads what is pseudonymised here: {', '.join(sorted(hidden))}")
        launch = launch_of(record)
        now = datetime.fromisoformat(record.time.replace("Z", "+00:00"))
        memo = self._memos.get(record.policy)
        if memo is None:
            memo = self._memos[record.policy] = Memo(policy)
        return self._remembered(record, memo, launch, now) or self._judged(record, memo, launch, now)

    def _remembered(
        self, record: AuditRecord, memo: Memo, launch: LaunchEvent, now: datetime
    ) -> Decision | None:
        """Return the decision if it was computed before, without looking at the verdict again."""
        if not record.verdict:
            return None
        state = ScanState(record.state) if record.state else None
        return memo.recall(Standing(state=state, digest=record.verdict), launch, now)

    def _judged(self, record: AuditRecord, memo: Memo, launch: LaunchEvent, now: datetime) -> Decision:
        standing = standing_of(record, self._verdicts)
        if standing is None:
            raise _Lacking("the verdict is not kept")
        if standing.verdict is None:
            # the detail is part of what is said, and names nothing to remember it by
            return evaluate(memo.policy, standing, launch, now)
        return memo.decide(standing, launch, now)

    def _compare(self, record: AuditRecord, decision: Decision) -> None:
        differences = [
            Difference(record.id, record.reference, record.time, name, _shown(recorded), _shown(computed))
            for name, computed in judged_fields(decision).items()
            if (recorded := getattr(record, name)) != computed
        ]
        if not differences:
            self._found.same += 1
            return
        self._found.different += 1
        room = SHOWN - len(self._found.differences)
        self._found.differences.extend(differences[:room])


class Shelf:
    """Verdicts held decoded, the least recently used given away first."""

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._held: OrderedDict[str, Verdict | None] = OrderedDict()
        self._findings = 0

    def __call__(self, digest: str) -> Verdict | None:
        """Return the verdict of a digest; None where it is not to be had."""
        if digest in self._held:
            self._held.move_to_end(digest)
            return self._held[digest]
        verdict = self._verdicts(digest)
        self._held[digest] = verdict
        self._findings += _size(verdict)
        while self._findings > FINDINGS and len(self._held) > 1:
            _, old = self._held.popitem(last=False)
            self._findings -= _size(old)
        return verdict


class _Lacking(Exception):
    """Something without which a record cannot be computed again."""


def _size(verdict: Verdict | None) -> int:
    return 1 if verdict is None else 1 + len(verdict.findings)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
