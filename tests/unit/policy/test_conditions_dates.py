# SPDX-License-Identifier: Apache-2.0
"""Dates and ages: borders at 00:00 UTC in whatever zone the clock is read, and no change that no clock announces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.policy.builders import NOON, finding
from tests.unit.policy.condition_values import (
    DAYS,
    FALSE,
    INSTANTS,
    TRUE,
    UNKNOWN,
    match,
    situation,
    truth,
    when,
)

from sifgate.model.image import ImageFacts, OsRelease
from sifgate.model.verdict import EndOfLife, Generation
from sifgate.policy.conditions.clock import CLOCKS, END, border, clock_date, day_of, instant_of, later
from sifgate.policy.conditions.family import Situation, Truth
from sifgate.policy.conditions.when import When

DATED: dict[str, tuple[str, dict[str, str]]] = {
    "published": ("published", {}),
    "fix_age": ("fix_available", {}),
    "first_seen of image": ("first_seen_image", {"of": "image"}),
    "first_seen of site": ("first_seen_site", {"of": "site"}),
}
"""Families with a date: the attribute, and what else they need."""
TICK = timedelta(microseconds=1)


def dated(family: str, **span: str) -> dict[str, Any]:
    """Return the `when` of a family about dates."""
    return {family.partition(" ")[0]: DATED[family][1] | span}


@pytest.mark.parametrize("family", DATED)
@given(
    day=DAYS,
    days=st.integers(0, 9999),
    offset=st.timedeltas(-timedelta(days=2), timedelta(days=2)),
    zone=INSTANTS,
)
@settings(max_examples=60)
@example(day=date(2028, 2, 29), days=366, offset=-TICK, zone=NOON)
@example(day=date(2026, 3, 28), days=1, offset=timedelta(0), zone=NOON)
def test_age_of_a_date_is_reached_at_midnight_utc(
    family: str, day: date, days: int, offset: timedelta, zone: datetime
) -> None:
    """Whatever zone the moment is told in, `for` holds from 00:00 UTC of the day on, and `within` until then."""
    midnight = datetime.combine(day, time(0), timezone.utc) + timedelta(days=days)
    moment = (midnight + offset).astimezone(zone.tzinfo)
    around = situation(finding(**{DATED[family][0]: day.isoformat()}), now=moment)
    reached = moment >= midnight
    assert truth(dated(family, **{"for": f">= {days}d"}), around) is Truth.of(reached)
    if days:
        assert truth(dated(family, within=f"{days}d"), around) is Truth.of(not reached)


@pytest.mark.parametrize("family", DATED)
@pytest.mark.parametrize("text", ["", "soon", "2026-02-30", "20260831", "٢٠٢٦-08-31", "2026-08-31T25:00:00Z"])
def test_what_is_no_date_is_unknown(family: str, text: str) -> None:
    """A feed that says nothing, or nonsense, stops no judgement and answers neither way."""
    around = situation(finding(**{DATED[family][0]: text}))
    assert truth(dated(family, **{"for": "1d"}), around) is UNKNOWN
    assert truth(dated(family, within="1d"), around) is UNKNOWN
    assert when(dated(family, **{"for": "1d"})).clocks(around) == ()


AGES: dict[str, Callable[[str], dict[str, Any]]] = {
    "image_age": lambda text: {"image": ImageFacts(created=text)},
    "scan_age": lambda text: {"scanned_at": text},
    "advisories_age": lambda text: {"generation": Generation(advisories=text)},
}
"""Families with a time, and where it stands."""


@pytest.mark.parametrize("family", AGES)
@given(
    since=INSTANTS,
    seconds=st.integers(1, 999_999),
    offset=st.timedeltas(-timedelta(days=1), timedelta(days=1)),
)
@settings(max_examples=60)
def test_age_of_a_time_is_exact(family: str, since: datetime, seconds: int, offset: timedelta) -> None:
    """To the microsecond, whatever zone the time is told in."""
    edge = since + timedelta(seconds=seconds)
    moment = max(edge + offset, since)
    around = situation(now=moment.astimezone(timezone.utc), **AGES[family](since.isoformat()))
    expected = {">=": moment >= edge, ">": moment > edge, "<": moment < edge, "<=": moment <= edge}
    for sign, holds in expected.items():
        assert truth({family: f"{sign} {seconds}s"}, around) is Truth.of(holds)


@pytest.mark.parametrize("family", AGES)
def test_age_of_nothing_is_unknown(family: str) -> None:
    """No time, or what is none."""
    for text in ("", "yesterday", "2026-13-01"):
        assert truth({family: ">= 1d"}, situation(**AGES[family](text))) is UNKNOWN


def test_image_that_is_built_tomorrow_has_no_age() -> None:
    """A forged time of building makes no image young; a scan by a clock that goes ahead is new."""
    tomorrow = (NOON + timedelta(days=1)).isoformat()
    built = situation(image=ImageFacts(created=tomorrow))
    assert truth({"image_age": "< 1d"}, built) is UNKNOWN
    assert when({"image_age": "< 1d"}).clocks(built) == (NOON + timedelta(days=1),)
    assert truth({"scan_age": "< 1d"}, situation(scanned_at=tomorrow)) is TRUE


def anything(draw: st.DrawFn) -> tuple[dict[str, Any], Situation]:
    """Return a condition that time changes, and a situation about its borders."""
    days = draw(st.integers(1, 40))
    number = f"{days}d"
    near = st.integers(-45, 45).map(lambda away: (NOON.date() + timedelta(days=away)).isoformat())
    text: dict[str, Any] = draw(
        st.sampled_from(
            (
                {"published": {"for": number}},
                {"fix_age": {"within": number}},
                {"first_seen": {"of": "site", "for": number}},
                {"image_age": f">= {number}"},
                {"image_age": f"> {number}"},
                {"scan_age": f"< {number}"},
                {"advisories_age": f"<= {days}h"},
                {"distro": {"eol": True}},
                {"distro": {"eol": False, "support": "regular"}},
                {"distro": {"eol": True, "within": number}},
                {"distro": {"eol": True, "for": number, "support": "extended"}},
                {"any": [{"published": {"for": number}, "image_age": "< 5d"}, {"not": {"scan_age": "> 9d"}}]},
                {"count": {"over": 0, "published": {"within": number}, "not": {"fix_age": {"for": "3d"}}}},
            )
        )
    )
    found = [
        finding(published=draw(near), fix_available=draw(near), first_seen_site=draw(near))
        for _ in range(draw(st.integers(1, 3)))
    ]
    around = situation(
        *found,
        image=ImageFacts(created=f"{draw(near)}T12:30:00Z"),
        scanned_at=f"{draw(near)}T01:02:03.5+02:00",
        generation=Generation(advisories=draw(near)),
        end_of_life=EndOfLife(eol=draw(near), lts=draw(near), elts=draw(near)),
        paid=("debian",) * draw(st.booleans()),
    )
    return text, around


@given(
    drawn=st.composite(anything)(),
    later_by=st.timedeltas(timedelta(0), timedelta(days=90)),
    turn=st.integers(0, 3),
)
@settings(max_examples=400)
def test_no_answer_changes_before_the_next_clock(
    drawn: tuple[dict[str, Any], Situation], later_by: timedelta, turn: int
) -> None:
    """From any instant, the very one of a clock too, the answer is the same up to the next clock."""
    text, around = drawn
    asked = when(text)
    for _ in range(turn):
        around = replace(around, now=min(ahead(asked, around), default=around.now), _made={})
    upto = min(ahead(asked, around), default=END)
    for moment in (min(around.now + later_by, upto - TICK), upto - TICK):
        then = replace(around, now=moment, _made={})
        for lenient in (False, True):
            met = match(asked, around, unknown_counts=lenient).met
            assert match(asked, then, unknown_counts=lenient).met == met


def ahead(asked: When, around: Situation) -> list[datetime]:
    """Return the clocks that are still to come."""
    return [at for at in asked.clocks(around) if at > around.now]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-31", "2026-08-31T00:00:00+00:00"),
        ("2026-08-31T23:30:00Z", "2026-08-31T23:30:00+00:00"),
        ("2026-08-31T23:30:00.123456789Z", "2026-08-31T23:30:00.123456+00:00"),
        ("2026-08-31T23:30:00.5-02:00", "2026-09-01T01:30:00.500000+00:00"),
        ("2026-08-31 23:30:00", "2026-08-31T23:30:00+00:00"),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-08-31T23:30", None),
        ("2026-W01-1", None),
        ("x" * 10_000, None),
    ],
)
def test_times_are_read_as_instants(text: str, expected: str | None) -> None:
    """ISO 8601 as our own records and the feeds write it; anything else is no time."""
    instant = instant_of(text)
    assert (None if instant is None else instant.isoformat()) == expected


@given(moment=INSTANTS)
def test_day_of_a_time_is_its_utc_day(moment: datetime) -> None:
    """The day begins at 00:00 UTC wherever the time was written."""
    assert day_of(moment.isoformat(timespec="microseconds")) == moment.astimezone(timezone.utc).date()


@given(day=st.dates(), days=st.integers(-9999, 9999))
def test_border_never_fails(day: date, days: int) -> None:
    """Beyond the calendar it is the end of it, which is never reached."""
    found = border(day, days)
    assert found == END or found == datetime.combine(day, time(0), timezone.utc) + timedelta(days=days)
    assert later(END, timedelta(days=1)) == END


@pytest.mark.parametrize("word", CLOCKS)
def test_clock_of_a_finding(word: str) -> None:
    """Each clock reads its own attribute."""
    assert clock_date(finding(**{CLOCKS[word]: "2026-08-31"}), word) == date(2026, 8, 31)
    assert clock_date(finding(), word) is None


@pytest.mark.parametrize(
    ("support", "paid", "last"),
    [
        (None, (), "2025-01-01"),
        (None, ("ubuntu",), "2025-01-01"),
        (None, ("debian",), "2027-01-01"),
        ("regular", ("debian",), "2024-01-01"),
        ("lts", ("debian",), "2025-01-01"),
        ("extended", (), "2027-01-01"),
    ],
)
def test_kinds_of_support_end_on_their_own_days(
    support: str | None, paid: tuple[str, ...], last: str
) -> None:
    """Long-term and paid support are told apart; the site's paid one counts unless a rule says which it means."""
    rule: dict[str, Any] = {"distro": {"eol": True} | ({"support": support} if support else {})}
    dates = EndOfLife(eol="2024-01-01", lts="2025-01-01", elts="2027-01-01")
    end = border(date.fromisoformat(last), 1)
    before = situation(now=end - TICK, end_of_life=dates, paid=paid)
    after = situation(now=end, end_of_life=dates, paid=paid)
    assert (truth(rule, before), truth(rule, after)) == (FALSE, TRUE)
    assert when(rule).clocks(before) == (end,)
    assert last in when(rule).say(after, 0)


def test_support_of_a_kind_that_no_table_has() -> None:
    """Regular support is not known from the end of the paid one; the greater kinds take what there is."""
    dates = EndOfLife(elts="2020-01-01")
    truths = [
        truth({"distro": {"eol": True, "support": kind}}, situation(end_of_life=dates))
        for kind in ("regular", "lts", "extended")
    ]
    assert truths == [UNKNOWN, UNKNOWN, TRUE]


def test_distribution_that_is_not_known() -> None:
    """Its name is missing data; its end of life still is what the table says."""
    around = situation(os_release=OsRelease())
    assert truth({"distro": {"id": "debian"}}, around) is UNKNOWN


@pytest.mark.parametrize("span", [{}, {"within": "9d"}, {"for": "9d"}])
def test_sentence_about_support_changes_at_a_clock(span: dict[str, str]) -> None:
    """A remembered decision must not say "reaches" of what is over, also where the rule is the opposite."""
    asked = when({"not": {"distro": {"eol": True} | span}})
    end = datetime(2026, 9, 1, tzinfo=timezone.utc)
    before, after = (
        situation(now=moment, end_of_life=EndOfLife(eol="2026-08-31")) for moment in (end - TICK, end)
    )
    assert asked.say(before, 0) != asked.say(after, 0)
    assert end in asked.clocks(before)
