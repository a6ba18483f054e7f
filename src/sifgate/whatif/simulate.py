# SPDX-License-Identifier: Apache-2.0
"""A candidate policy over recorded launches: what would have been stopped, for whom, and what differs from today.

Rows come ordered by what was judged, so each verdict is read once; launches that a policy cannot tell apart are
judged once. Every decision is `evaluate`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from functools import partial
from itertools import groupby
from sys import intern
from typing import NamedTuple

from sifgate.audit.record import AuditRecord
from sifgate.model.decision import Action
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.whatif.launches import Row, record_of, split
from sifgate.whatif.likeness import Likeness
from sifgate.whatif.recorded import Verdicts, launch_of, standing_of
from sifgate.whatif.tally import Launched, Outcome, Tally, outcome_of

MOST_KINDS = 20_000
"""Kinds of launches of one image that are held at a time."""
NO_VERDICT = "the verdict is not kept any more"
NOT_UNDERSTOOD = "the record cannot be understood"


class Question(NamedTuple):
    """What is simulated."""

    candidate: Policy
    present: Policy | None = None
    """Compared with it; None: with what happened."""
    at: datetime | None = None
    """The moment at which everything is judged; None: each launch at its own."""
    capped: bool = True
    """Count what is done; False: what mode `enforce` would do."""


class _Judge:
    """One policy; remembers what it said of one standing."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._likeness = Likeness(policy)
        self._known: dict[object, tuple[datetime, datetime | None, Outcome]] = {}

    def forget(self) -> None:
        """Begin another standing."""
        self._known.clear()

    def outcome(self, standing: Standing, launch: LaunchEvent, now: datetime) -> Outcome:
        """Return what the policy does with a launch at a moment."""
        key = self._likeness.key(launch)
        held = self._known.get(key)
        if held is not None and held[0] <= now and (held[1] is None or now < held[1]):
            return held[2]
        decision = evaluate(self._policy, standing, launch, now)
        until = _moment(decision.valid_until) if decision.valid_until else None
        outcome = outcome_of(decision)
        self._known[key] = (now, until, outcome)
        return outcome


def simulate(
    question: Question, rows: Iterable[bytes], verdicts: Verdicts, progress: Callable[[int], None]
) -> Tally:
    """Return the counts over rows (`whatif.launches`), best ordered; `progress` hears how many launches are done."""
    tally = Tally()
    candidate = _Judge(question.candidate)
    present = None if question.present is None else _Judge(question.present)
    for _, group in groupby(map(split, rows), key=standing_part):
        candidate.forget()
        if present is not None:
            present.forget()
        judged = Standings(verdicts)
        for row, count in kinds(group, by_time=question.at is None):
            progress(count)
            try:
                record = record_of(row)
                launch, standing = launch_of(record), judged.of(record)
                launched = _launched(record, count)
                now = question.at or _moment(record.time)
            except ValueError:
                tally.skip(NOT_UNDERSTOOD, count)
                continue
            if standing is None:
                tally.skip(NO_VERDICT, count)
                continue
            after = candidate.outcome(standing, launch, now)
            before = None if present is None else present.outcome(standing, launch, now)
            tally.add(launched, after, before, capped=question.capped)
    return tally


class Standings:
    """The standing of a group of rows, made once."""

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._made: list[Standing | None] = []

    def of(self, record: AuditRecord) -> Standing | None:
        """Return the standing; None where its verdict is not to be had."""
        if not self._made:
            self._made.append(standing_of(record, self._verdicts))
        return self._made[0]


def standing_part(row: Row) -> bytes:
    """Return by what rows are grouped."""
    return row.standing


def kinds(group: Iterator[Row], *, by_time: bool) -> Iterator[tuple[Row, int]]:
    """Yield launches that are alike with their number; by time each for itself."""
    if by_time:
        yield from ((row, 1) for row in group)
        return
    alike: Counter[tuple[bytes, bytes]] = Counter()
    remade = partial(Row, time=b'""')
    standing = b""
    for row in group:
        standing = row.standing
        alike[row.launch, row.action] += 1
        if len(alike) >= MOST_KINDS:
            yield from ((remade(standing, launch, action=action), n) for (launch, action), n in alike.items())
            alike.clear()
    yield from ((remade(standing, launch, action=action), n) for (launch, action), n in alike.items())


def _launched(record: AuditRecord, count: int) -> Launched:
    """Return what is counted; raises ValueError where the record names no action."""
    path = record.path or record.image
    if record.action.upper() not in Action.__members__:
        raise ValueError(f"{record.action}: no action")
    user = record.user or (str(record.uid) if record.uid >= 0 else "")
    return Launched(
        user=intern(user),  # each stands in many sets
        account=intern(record.account),
        image=intern(record.fingerprint or path),
        path=path,
        count=count,
        recorded=Action.parse(record.action),
    )


def _moment(text: str) -> datetime:
    """Return the moment that an ISO time means; raises ValueError."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if found.tzinfo is None:
        raise ValueError(f"{text}: no time zone")
    return found.astimezone(timezone.utc)
