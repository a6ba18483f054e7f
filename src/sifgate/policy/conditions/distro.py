# SPDX-License-Identifier: Apache-2.0
"""`distro: {eol: true, for: ">= 180d"}`, `{eol: true, within: 90d}`, `{id: debian, version: "11"}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone

from sifgate.model.finding import Finding
from sifgate.model.verdict import EndOfLife, Verdict
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node

_DAYS = re.compile(r"(?:>=\s*)?([0-9]{1,4})d", re.ASCII)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class DistroCondition(Condition, frozen=True):
    """Whether the image's distribution fits every field given.

    End of life is the day after the later of its last day of regular and of long-term support, at 00:00 UTC
    (distro-info counts the date itself as supported).
    """

    key = "distro"
    of_findings = False

    eol: bool | None = None
    shift_days: int = 0
    """Added to the end of life: positive for `for`, negative for `within`."""
    id: tuple[str, ...] = ()
    version: tuple[str, ...] = ()

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> DistroCondition:
        """Return the condition; an empty mapping is an error, it would mean every distribution."""
        del vocabulary
        fields = node.mapping(keys=("eol", "for", "within", "id", "version"))
        if not fields:
            raise node.error("asks nothing")
        eol = fields["eol"].boolean() if "eol" in fields else None
        for key in ("for", "within"):
            if key in fields and eol is not True:
                raise node.key_error(key, f'"{key}" needs "eol: true" beside it')
        if "for" in fields and "within" in fields:
            raise node.key_error("within", '"for" and "within" exclude each other')
        return cls(
            eol=eol,
            shift_days=_shift(fields),
            id=fields["id"].one_or_more(Node.text) if "id" in fields else (),
            version=fields["version"].one_or_more(Node.text) if "version" in fields else (),
        )

    def test(self, finding: Finding, situation: Situation) -> Truth:
        """Return whether the distribution fits at this moment."""
        del finding
        release = situation.verdict.os_release
        return min(
            _named(self.id, release.id),
            _named(self.version, release.version_id),
            self._ended(situation),
        )

    def clocks(self, situation: Situation) -> tuple[datetime, ...]:
        """Return the end of life, moved by `for` or `within`."""
        border = self._border(situation) if self.eol is not None else None
        return () if border is None else (border,)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `Debian 11 reached its end of life on 2026-08-31`."""
        name = _name(situation.verdict)
        if self.eol is None:
            return Phrase(tail=f"the distribution is {name}")
        day = last_day(situation.verdict.end_of_life)
        if not self.eol:
            return Phrase(tail=f"{name} is supported until {day}")
        verb = "reaches" if self.shift_days < 0 and self._is_ahead(situation) else "reached"
        return Phrase(tail=f"{name} {verb} its end of life on {day}")

    def _ended(self, situation: Situation) -> Truth:
        if self.eol is None:
            return Truth.TRUE
        if last_day(situation.verdict.end_of_life) is None:
            return Truth.UNKNOWN
        border = self._border(situation)
        return Truth.of((border is not None and situation.now >= border) is self.eol)

    def _border(self, situation: Situation) -> datetime | None:
        return _after(last_day(situation.verdict.end_of_life), 1 + self.shift_days)

    @staticmethod
    def _is_ahead(situation: Situation) -> bool:
        end = _after(last_day(situation.verdict.end_of_life), 1)
        return end is None or situation.now < end


def last_day(support: EndOfLife) -> date | None:
    """Return the last day of support: the later of the two dates; None where neither is a date."""
    days = [day for text in (support.eol, support.lts) if (day := _day(text)) is not None]
    return max(days, default=None)


def _day(text: str) -> date | None:
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _after(day: date | None, days: int) -> datetime | None:
    """Return 00:00 UTC so many days later; None beyond the calendar (9999-12-31 means never)."""
    if day is None:
        return None
    try:
        return datetime(day.year, day.month, day.day, tzinfo=timezone.utc) + timedelta(days=days)
    except OverflowError:
        return None


def _shift(fields: Mapping[str, Node]) -> int:
    if "for" in fields:
        return _days(fields["for"])
    return -_days(fields["within"]) if "within" in fields else 0


def _days(node: Node) -> int:
    parts = _DAYS.fullmatch(node.text())
    if parts is None:
        raise node.expected('a number of days such as "180d" or ">= 180d"')
    return int(parts[1])


def _named(wanted: tuple[str, ...], actual: str) -> Truth:
    if not wanted:
        return Truth.TRUE
    return Truth.of(actual in wanted) if actual else Truth.UNKNOWN


def _name(verdict: Verdict) -> str:
    release = verdict.os_release
    return " ".join(filter(None, (release.id.capitalize(), release.version_id))) or "the distribution"
