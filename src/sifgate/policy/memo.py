# SPDX-License-Identifier: Apache-2.0
"""Decisions remembered under everything that they read, and only while no clock in them changes (design §3, law 1).

For callers that judge many launches of few images, in any order of time. The agent keeps a store of its own, which
knows what is still being scanned.
"""

from __future__ import annotations

from datetime import datetime, timezone

from sifgate.model.decision import Decision
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.conditions.clock import END, instant_of
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate

LIMIT = 4096
Key = tuple[object, ...]


class Memo:
    """Decisions of one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.evaluations = 0
        """How often nothing was remembered."""
        self._held: dict[Key, tuple[Decision, datetime, datetime]] = {}

    def decide(self, standing: Standing, launch: LaunchEvent, now: datetime) -> Decision:
        """Return the decision that `evaluate` would return, remembered where it holds at `now`.

        A standing without a digest of its verdict is never remembered: nothing else names what it holds.
        """
        if standing.verdict is not None and not standing.digest:
            return evaluate(self.policy, standing, launch, now)
        key = self._key(standing, launch)
        held = self._recall(key, now)
        if held is not None:
            return held
        decision = evaluate(self.policy, standing, launch, now)
        self.evaluations += 1
        if len(self._held) >= LIMIT:
            self._held.pop(next(iter(self._held)))
        self._held[key] = (decision, now.astimezone(timezone.utc), _until(decision))
        return decision

    def recall(self, standing: Standing, launch: LaunchEvent, now: datetime) -> Decision | None:
        """Return the decision if it is remembered and holds at `now`; the verdict's digest will do for the verdict."""
        return self._recall(self._key(standing, launch), now)

    def _recall(self, key: Key, now: datetime) -> Decision | None:
        held = self._held.get(key)
        return held[0] if held is not None and held[1] <= now < held[2] else None

    def _key(self, standing: Standing, launch: LaunchEvent) -> Key:
        return (
            standing.digest,
            standing.state,
            standing.cause,
            standing.unscannable,
            self.policy.launch_key(launch),
        )


def _until(decision: Decision) -> datetime:
    return (instant_of(decision.valid_until) if decision.valid_until else None) or END
