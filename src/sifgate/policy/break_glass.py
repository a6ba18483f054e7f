# SPDX-License-Identifier: Apache-2.0
"""Break-glass: while a grant is in force a refusal becomes a warning, and an alarm says so; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sifgate.model.launch import Grant
from sifgate.policy.conditions.clock import instant_of, later
from sifgate.policy.settings import BreakGlass

ALARM = "break_glass"


def in_force(settings: BreakGlass | None, grant: Grant | None, now: datetime) -> bool:
    """Return whether a grant holds; never where the policy knows none, nor longer than the policy allows."""
    if settings is None or grant is None:
        return False
    span = _span(settings, grant)
    return span is not None and span[0] <= now < span[1]


def grant_clocks(settings: BreakGlass | None, grant: Grant | None) -> Iterator[datetime]:
    """Yield the instants at which a grant begins and ends."""
    if settings is not None and grant is not None:
        yield from _span(settings, grant) or ()


def _span(settings: BreakGlass, grant: Grant) -> tuple[datetime, datetime] | None:
    """Return begin and end; None where one of them is no time: such a grant loosens nothing."""
    begins, ends = instant_of(grant.begins), instant_of(grant.ends)
    if begins is None or ends is None:
        return None
    return begins, min(ends, later(begins, timedelta(seconds=settings.max_duration)))
