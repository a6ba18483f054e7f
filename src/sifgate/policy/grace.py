# SPDX-License-Identifier: Apache-2.0
"""`grace: {after: fix_available, days: 30}`: until then, counted from a finding's own clock, it does not count."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import date, datetime, timedelta
from enum import Enum, IntEnum

import msgspec

from sifgate.policy.conditions.clock import END, border, day_of
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Group, Situation

DAY = timedelta(days=1)


class Clock(str, Enum):
    """From what a grace period counts; the words are attributes of a finding."""

    PUBLISHED = "published"
    FIX_AVAILABLE = "fix_available"
    FIRST_SEEN_IMAGE = "first_seen_image"
    FIRST_SEEN_SITE = "first_seen_site"
    KEV_ADDED = "kev_added"


class Phase(IntEnum):
    """Where a finding is in a grace period."""

    OVER = 0
    """The finding counts."""
    UNKNOWN = 1
    """The date is not known: the rule's `on_unknown` decides."""
    RUNNING = 2
    """The finding does not count yet."""


_OVER, _UNKNOWN, _RUNNING = Phase  # bound once: thousands of dates are told apart at each judgement


class Grace(msgspec.Struct, frozen=True):
    """So many days after a date of the finding's own."""

    after: Clock
    days: int

    def ends(self, text: str) -> datetime | None:
        """Return when the period of a finding with this date is over (00:00 UTC); None where it is no date."""
        day = day_of(text)
        end = END if day is None else border(day, self.days)
        return None if end == END else end

    def phases(self, now: datetime) -> Callable[[str], Phase]:
        """Return what tells where a finding with a date is at `now`, from the date as text."""
        newest = now.date() - timedelta(days=self.days)  # the last day whose period is over
        latest = date.max - timedelta(days=self.days + 1)

        def phase(text: str) -> Phase:
            day = day_of(text)
            if day is None or day > latest:
                return _UNKNOWN
            return _OVER if day <= newest else _RUNNING

        return phase

    def column(self, now: datetime) -> Column:
        """Return what tells findings apart for the period: the phase, so that thousands of dates make three groups."""
        return Column((self.after.value,), self.phases(now))

    def split(self, situation: Situation) -> dict[Phase, tuple[Group, ...]]:
        """Return the groups of a situation by phase; they are grouped by `column`, among others."""
        split: dict[Phase, list[Group]] = {phase: [] for phase in Phase}
        phase_of = self.phases(situation.now)
        for group in situation.groups:
            split[phase_of(getattr(group.sample, self.after.value))].append(group)
        return {phase: tuple(groups) for phase, groups in split.items()}

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the next instant at which the period of a finding ends, if any runs."""
        phase_of = self.phases(situation.now)
        texts = sorted(situation.values(self.after.value))
        start = situation.now.date() - timedelta(days=self.days + 1)
        first: date | None = None
        for text in texts[bisect_left(texts, start.isoformat()) :]:
            if first is not None and text > (first + 2 * DAY).isoformat():
                break  # what follows is later in any time zone
            day = day_of(text)
            if day is not None and phase_of(text) is _RUNNING and (first is None or day < first):
                first = day
        return () if first is None else (border(first, self.days),)
