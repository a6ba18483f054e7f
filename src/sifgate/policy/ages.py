# SPDX-License-Identifier: Apache-2.0
"""How old a scan and its advisories are, against what the policy allows; pure.

A date that is missing or no date is not fresh: it is taken as past the first limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sifgate.model.decision import Reason
from sifgate.model.verdict import Verdict
from sifgate.policy.conditions.clock import instant_of, later
from sifgate.policy.settings import Freshness, Limit

_SECONDS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_NOUNS = {"scan": "the scan of the image", "advisories": "the advisory data"}


def freshness_reasons(freshness: Freshness, verdict: Verdict, now: datetime) -> list[Reason]:
    """Return a reason for each age that is past a limit: the strongest that it has passed."""
    reasons = []
    for kind, limits, since in _ages(freshness, verdict):
        passed = [limit for limit in limits if since is not None and _border(since, limit) <= now]
        if since is None:
            message = f"nobody knows how old {_NOUNS[kind]} is"
            reasons.append(Reason(rule=f"freshness:{kind}", action=limits[0].action, message=message))
        elif passed:
            message = f"{_NOUNS[kind]} is older than {_length(passed[-1].seconds)}"
            reasons.append(Reason(rule=f"freshness:{kind}", action=passed[-1].action, message=message))
    return reasons


def freshness_clocks(freshness: Freshness, verdict: Verdict) -> Iterator[datetime]:
    """Yield the instants at which a limit is reached."""
    for _, limits, since in _ages(freshness, verdict):
        if since is not None:
            yield from (_border(since, limit) for limit in limits)


def _ages(freshness: Freshness, verdict: Verdict) -> Iterator[tuple[str, tuple[Limit, ...], datetime | None]]:
    if freshness.scan:
        yield "scan", freshness.scan, instant_of(verdict.scanned_at)
    if freshness.advisories:
        yield "advisories", freshness.advisories, instant_of(verdict.generation.advisories)


def _border(since: datetime, limit: Limit) -> datetime:
    return later(since, timedelta(seconds=limit.seconds))


def _length(seconds: int) -> str:
    """Return a length of time in the largest unit that it is a whole number of."""
    name, unit = next((name, unit) for name, unit in _SECONDS if seconds % unit == 0)
    return f"{seconds // unit} {name}{'' if seconds == unit else 's'}"
