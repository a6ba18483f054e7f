# SPDX-License-Identifier: Apache-2.0
"""`grace: {after: fix_available, days: 30}`: until then, counted from a finding's own clock, it does not count."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, IntEnum
from functools import partial

import msgspec

from sifgate.policy.conditions.clock import END, border, day_of
from sifgate.policy.conditions.column import Column
from sifgate.policy.conditions.family import Group, Situation


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


class Grace(msgspec.Struct, frozen=True):
    """So many days after a date of the finding's own."""

    after: Clock
    days: int

    def ends(self, text: str) -> datetime | None:
        """Return when the period of a finding with this date is over (00:00 UTC); None where it is no date."""
        day = day_of(text)
        end = END if day is None else border(day, self.days)
        return None if end == END else end

    def phase(self, text: str, now: datetime) -> Phase:
        """Return where a finding with this date is."""
        end = self.ends(text)
        if end is None:
            return Phase.UNKNOWN
        return Phase.OVER if now >= end else Phase.RUNNING

    def column(self, now: datetime) -> Column:
        """Return what tells findings apart for the period: the phase, so that thousands of dates make three groups."""
        return Column((self.after.value,), partial(self.phase, now=now))

    def split(self, situation: Situation) -> dict[Phase, tuple[Group, ...]]:
        """Return the groups of a situation by phase; they are grouped by `column`, among others."""
        phases: dict[Phase, list[Group]] = {phase: [] for phase in Phase}
        for group in situation.groups:
            phases[self.phase(getattr(group.sample, self.after.value), situation.now)].append(group)
        return {phase: tuple(groups) for phase, groups in phases.items()}

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the instants at which the period of any finding ends."""
        ends = map(self.ends, situation.values(self.after.value))
        return tuple(end for end in ends if end is not None)
