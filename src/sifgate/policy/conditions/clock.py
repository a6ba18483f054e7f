# SPDX-License-Identifier: Apache-2.0
"""Dates and times of facts as instants, and the borders at which an age is reached; pure.

Days begin at 00:00 UTC wherever the node's clock stands. Facts come from outside: what is no date is None, never an
error, since a bad date in a feed must not stop a judgement.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

from sifgate.model.finding import Finding
from sifgate.yamlnode import Node

CLOCKS = {
    "published": "published",
    "fix_available": "fix_available",
    "first_seen_image": "first_seen_image",
    "first_seen_site": "first_seen_site",
    "kev_added": "kev_added",
}
"""Words of the clocks, and the attributes of a finding that hold their dates."""

END = datetime.max.replace(tzinfo=timezone.utc)
"""The last instant of the calendar: a border beyond it is never reached."""

TICK = timedelta(microseconds=1)
"""The shortest time that can be told apart: `> 7d` becomes true one later than `>= 7d`."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_DAYS = re.compile(r"(?:>=\s*)?([0-9]{1,4})d", re.ASCII)


def clock_date(finding: Finding, word: str) -> date | None:
    """Return the day from which a clock of a finding counts; None where it is not known.

    Raises KeyError for a word that is no clock.
    """
    return day_of(str(getattr(finding, CLOCKS[word])))


@lru_cache(maxsize=16384)
def day_of(text: str) -> date | None:
    """Return the UTC day of an ISO date, or of an ISO time with its zone; None for anything else."""
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return None
    instant = instant_of(text)
    return None if instant is None else instant.date()


@lru_cache(maxsize=1024)
def instant_of(text: str) -> datetime | None:
    """Return the instant of an ISO time (UTC where it names no zone), or 00:00 UTC of a date; None otherwise."""
    parts = _TIME.fullmatch(text)
    if parts is None:
        day = day_of(text) if _DATE.fullmatch(text) else None
        return None if day is None else border(day, 0)
    fraction = (parts[3] or ".")[:7].ljust(7, "0")
    zone = "+00:00" if parts[4] in {None, "Z", "z"} else parts[4]
    try:
        return datetime.fromisoformat(f"{parts[1]}T{parts[2]}{fraction}{zone}").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def border(day: date, days: int) -> datetime:
    """Return 00:00 UTC so many days after (before, if negative) a day; `END` beyond the calendar on either side."""
    return later(datetime.combine(day, time(0), timezone.utc), timedelta(days=days))


def later(instant: datetime, length: timedelta) -> datetime:
    """Return an instant moved by a length of time; `END` beyond the calendar on either side."""
    try:
        return instant + length
    except OverflowError:
        return END


@lru_cache(maxsize=256)
def newest_day(now: datetime, days: int) -> date:
    """Return the newest day whose `border(day, days)` is reached at an instant: one answer for thousands of dates."""
    try:
        return now.astimezone(timezone.utc).date() - timedelta(days=days)
    except OverflowError:
        return date.min


def read_days(node: Node) -> int:
    """Return the days of `180d` or `>= 180d`: after `for` and `within` both mean the same."""
    parts = _DAYS.fullmatch(node.text())
    if parts is None:
        raise node.expected('a number of days such as "180d" or ">= 180d"')
    return int(parts[1])
