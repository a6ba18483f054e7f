# SPDX-License-Identifier: Apache-2.0
"""`distro: {eol: true, for: ">= 180d"}`, `{eol: true, support: lts, within: 90d}`, `{id: debian, version: "11"}`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum

from sifgate.model.finding import Finding
from sifgate.model.verdict import EndOfLife, Verdict
from sifgate.policy.conditions.clock import END, border, day_of, read_days
from sifgate.policy.conditions.family import Condition, Phrase, Situation, Truth
from sifgate.yamlnode import Node


class Support(str, Enum):
    """Whose support is meant."""

    REGULAR = "regular"
    LTS = "lts"
    EXTENDED = "extended"
    """Paid: Debian ELTS, Ubuntu ESM."""


class DistroCondition(Condition, frozen=True):
    """Whether the image's distribution fits every field given.

    End of life is the day after the last day of support, at 00:00 UTC (distro-info counts the date itself as
    supported). Without `support` that is the later of regular and long-term support, and of the paid one too where the
    site has it for this distribution.
    """

    key = "distro"
    of_findings = False

    eol: bool | None = None
    shift_days: int = 0
    """Added to the end of life: positive for `for`, negative for `within`."""
    id: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    support: Support | None = None

    @classmethod
    def parse(cls, node: Node, vocabulary: Mapping[str, type[Condition]]) -> DistroCondition:
        """Return the condition; an empty mapping is an error, it would mean every distribution."""
        del vocabulary
        fields = node.mapping(keys=("eol", "support", "for", "within", "id", "version"))
        if not fields:
            raise node.error("asks nothing")
        eol = fields["eol"].boolean() if "eol" in fields else None
        if "support" in fields and eol is None:
            raise node.key_error("support", '"support" needs "eol" beside it')
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
            support=Support(fields["support"].choice(SUPPORT)) if "support" in fields else None,
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
        """Return the end of life, moved by `for` or `within`; and itself, when "reaches" becomes "reached"."""
        day = self._last_day(situation) if self.eol is not None else None
        if day is None:
            return ()
        instants = (border(day, 1 + shift) for shift in sorted({self.shift_days, 0}))
        return tuple(instant for instant in instants if instant != END)

    def phrase(self, situation: Situation) -> Phrase:
        """Return e.g. `Debian 11 reached its end of life on 2026-08-31`."""
        name = _name(situation.verdict)
        if self.eol is None:
            return Phrase(tail=f"the distribution is {name}")
        day = self._last_day(situation)
        if day is None:
            return Phrase(tail=f"the end of life of {name} is not known")
        kind = f" ({self.support.value} support)" if self.support else ""
        ahead = situation.now < border(day, 1)
        if not self.eol and ahead:
            return Phrase(tail=f"{name} is supported until {day}{kind}")
        return Phrase(tail=f"{name} {'reaches' if ahead else 'reached'} its end of life on {day}{kind}")

    def _ended(self, situation: Situation) -> Truth:
        if self.eol is None:
            return Truth.TRUE
        day = self._last_day(situation)
        if day is None:
            return Truth.UNKNOWN
        return Truth.of((situation.now >= border(day, 1 + self.shift_days)) is self.eol)

    def _last_day(self, situation: Situation) -> date | None:
        verdict = situation.verdict
        support = self.support
        if support is None:
            paid = verdict.os_release.id in situation.extended_support
            support = Support.EXTENDED if paid else Support.LTS
        return last_day(verdict.end_of_life, support)


SUPPORT = tuple(support.value for support in Support)


def last_day(dates: EndOfLife, support: Support = Support.LTS) -> date | None:
    """Return the last day of support of this kind or a lesser one: the latest date; None where none is a date."""
    texts = {
        Support.REGULAR: (dates.eol,),
        Support.LTS: (dates.eol, dates.lts),
        Support.EXTENDED: (dates.eol, dates.lts, dates.elts),
    }[support]
    return max((day for day in map(day_of, texts) if day is not None), default=None)


def _shift(fields: Mapping[str, Node]) -> int:
    if "for" in fields:
        return read_days(fields["for"])
    return -read_days(fields["within"]) if "within" in fields else 0


def _named(wanted: tuple[str, ...], actual: str) -> Truth:
    if not wanted:
        return Truth.TRUE
    return Truth.of(actual in wanted) if actual else Truth.UNKNOWN


def _name(verdict: Verdict) -> str:
    release = verdict.os_release
    return " ".join(filter(None, (release.id.capitalize(), release.version_id))) or "the distribution"
