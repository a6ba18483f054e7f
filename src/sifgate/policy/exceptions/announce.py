# SPDX-License-Identifier: Apache-2.0
"""Where an exception stands in its life, and which ones end soon; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum

from sifgate.policy.exceptions.document import PolicyException


class Stage(str, Enum):
    """Where an exception stands at a moment."""

    AHEAD = "ahead"
    """Its first day is still to come."""
    ACTIVE = "active"
    EXPIRING = "expiring"
    """Active, and its end is near enough to be announced."""
    EXPIRED = "expired"
    """It matches nothing any more, and stays listed until somebody takes it out of its file."""


def stage_of(exception: PolicyException, now: datetime, announce_days: int) -> Stage:
    """Return where an exception stands; it is expiring once its end is no more than `announce_days` days away."""
    if now < exception.begins:
        return Stage.AHEAD
    ends = exception.ends
    if ends is None:
        return Stage.ACTIVE
    if now >= ends:
        return Stage.EXPIRED
    return Stage.EXPIRING if ends - now <= timedelta(days=announce_days) else Stage.ACTIVE


def announced(
    exceptions: Iterable[PolicyException], now: datetime, announce_days: int
) -> tuple[PolicyException, ...]:
    """Return those that are expiring, the one that ends first at the front; ties by id."""
    ending = (each for each in exceptions if stage_of(each, now, announce_days) is Stage.EXPIRING)
    return tuple(sorted(ending, key=lambda each: (each.expires, each.id)))
