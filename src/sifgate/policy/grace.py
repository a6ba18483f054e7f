# SPDX-License-Identifier: Apache-2.0
"""`grace: {after: fix_available, days: 30}`: until then, counted from a finding's own clock, it does not count."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from enum import Enum, IntEnum

import msgspec

from sifgate.policy.schedule import midnight

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DAY_LENGTH = 10


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
    """The period is over: the finding counts."""
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
        if day is None:
            return None
        try:
            return midnight(day + timedelta(days=self.days))
        except OverflowError:
            return None


def day_of(text: str) -> date | None:
    """Return the day of an ISO date or time; None for anything else."""
    head = text[:_DAY_LENGTH]
    if not _DAY.fullmatch(head):
        return None
    try:
        return date.fromisoformat(head)
    except ValueError:
        return None
