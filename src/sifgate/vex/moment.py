# SPDX-License-Identifier: Apache-2.0
"""Times of VEX documents brought to one form, so that later is greater as text."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from sifgate.vex.member import Member

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,12}))?(?:([Zz])|([+-])(\d{2}):?(\d{2}))", re.ASCII
)
_MICROSECONDS = 6
_MINUTES = 60


def moment_of(document: Member, *keys: str) -> str:
    """Return the first of these members as `2026-11-22T18:47:00.000000Z`, empty where none is there.

    A time without a zone, or one that is none, is an error: which of two statements holds may depend on it.
    """
    member = next((document.need(key) for key in keys if document.has(key)), None)
    if member is None:
        return ""
    parts = _TIME.fullmatch(member.text(64))
    if parts is None:
        raise member.error("expected a time with its zone, such as 2026-11-22T18:47:00Z")
    day, clock, fraction, zulu, sign, hours, minutes = parts.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{clock}")
        offset = timedelta(0) if zulu else timedelta(minutes=int(hours) * _MINUTES + int(minutes))
        utc = local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        raise member.error(f"no such time: {member.value}") from None
    micros = int(((fraction or "") + "0" * _MICROSECONDS)[:_MICROSECONDS])
    return iso(utc.replace(microsecond=micros, tzinfo=timezone.utc))


def iso(moment: datetime) -> str:
    """Return a moment in the form of `moment_of`."""
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
