# SPDX-License-Identifier: Apache-2.0
"""An action that grows by date: `{now: log, 2026-10-01: warn, 2026-12-01: block}`; each date begins at 00:00 UTC."""

from __future__ import annotations

from datetime import date, datetime, time, timezone

import msgspec

from sifgate.model.decision import Action


class Step(msgspec.Struct, frozen=True):
    """From this day on, this action."""

    day: date
    action: Action

    @property
    def instant(self) -> datetime:
        """Return the first instant of the day, UTC."""
        return midnight(self.day)


class Schedule(msgspec.Struct, frozen=True):
    """What is asked for now, and from which day on more."""

    now: Action
    steps: tuple[Step, ...] = ()
    """By day; no action is weaker than the one before it."""

    def at(self, now: datetime) -> Action:
        """Return the action at an instant."""
        reached = [step.action for step in self.steps if step.instant <= now]
        return reached[-1] if reached else self.now

    def ahead(self, now: datetime) -> Step | None:
        """Return the next step after an instant; None where there is none."""
        return next((step for step in self.steps if step.instant > now), None)


def midnight(day: date) -> datetime:
    """Return the first instant of a day, UTC."""
    return datetime.combine(day, time(0), timezone.utc)
