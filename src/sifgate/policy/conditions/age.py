# SPDX-License-Identifier: Apache-2.0
"""What conditions on the age of something have in common: `">= 365d"`, `"< 48h"`."""

from __future__ import annotations

from datetime import datetime, timedelta

from sifgate.model.finding import Finding
from sifgate.policy.conditions.clock import END, TICK, later
from sifgate.policy.conditions.comparison import Comparison
from sifgate.policy.conditions.family import Condition, Situation, Truth

_AT_THE_BORDER = frozenset({">=", "<"})
"""Signs whose answer changes at the border itself; that of the others changes just after it."""


class AgeCondition(Condition, frozen=True):
    """Whether the time since an instant is on the right side of a border; unknown where the instant is."""

    of_findings = False

    age: Comparison
    """In seconds."""

    def since(self, situation: Situation) -> datetime | None:
        """Return the instant from which the age counts."""
        raise NotImplementedError

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the age fits at this moment; what lies ahead has the age 0."""
        del finding
        since = self.since(situation)
        if since is None:
            return Truth.UNKNOWN
        seconds = max(timedelta(0), situation.now - since) / timedelta(seconds=1)
        return Truth.of(self.age.holds(seconds))

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the instant at which the age passes the border."""
        since = self.since(situation)
        if since is None:
            return ()
        instant = later(since, timedelta(seconds=self.age.border))
        if self.age.sign not in _AT_THE_BORDER:
            instant = later(instant, TICK)
        return () if instant == END else (instant,)


def say_instant(instant: datetime) -> str:
    """Return an instant as people read it, e.g. `2026-08-01 12:30 UTC`."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"
