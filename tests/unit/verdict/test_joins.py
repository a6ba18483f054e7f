# SPDX-License-Identifier: Apache-2.0
"""What feeds and clocks say of a finding: by every name it has, and nothing where nobody knows."""

from __future__ import annotations

import msgspec
import pytest

from sifgate.model.clocks import LONGEST_NAME, Clocks, FixPlace, Sightings
from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.support import PackageSupport
from sifgate.verdict.joins import Feeds, Joins, fix_places, sightings

DEBIAN = OsRelease(id="debian", version_id="11")
DAY = "2026-03-04"
GIT = Finding(
    vulnerability="CVE-2099-1111",
    package="git-man",
    version="1",
    source="git",
    manager="dpkg",
    fixed_version="2",
)
WHEEL = Finding(
    vulnerability="GO-2099-1",
    package="example.org/x",
    version="1",
    manager="go",
    aliases=("CVE-2099-2222", "CVE-2099-3333"),
    fixed_version="2",
)


def joined(
    finding: Finding, feeds: Feeds | None = None, clocks: Clocks | None = None, day: str = DAY
) -> Finding:
    """Return a finding of an image of Debian 11 with what is said of it."""
    return Joins(feeds or Feeds(), clocks or Clocks(), DEBIAN, day).of(finding)


def test_nothing_known_is_nothing_said() -> None:
    """Without feeds and clocks a finding stays as it is: unknown, not zero and not false."""
    assert joined(GIT) == GIT
    assert (GIT.epss, GIT.fix_available, GIT.first_seen_site, GIT.support_ended) == (-1.0, "", "", None)


def test_epss_counts_under_any_name_and_the_highest_does() -> None:
    """An advisory of several flaws is as likely to be exploited as the likeliest of them; 0 is a score."""
    feeds = Feeds(epss={"CVE-2099-1111": 0.0, "CVE-2099-2222": 0.1, "CVE-2099-3333": 0.7})
    assert joined(GIT, feeds).epss == 0.0
    assert joined(WHEEL, feeds).epss == 0.7
    assert joined(msgspec.structs.replace(WHEEL, aliases=()), feeds).epss == -1.0


def test_dates_count_under_any_name_and_the_earliest_does() -> None:
    """A flaw that got its CVE later is not new because of that."""
    clocks = Clocks(
        image={"GO-2099-1": "2026-02-01", "CVE-2099-3333": "2026-01-05"},
        site={"CVE-2099-2222": "2025-12-01"},
        fixes={
            FixPlace("CVE-2099-2222", "example.org/x", "go"): "2026-01-01",
            FixPlace("GO-2099-1", "example.org/x", "go"): "2026-02-02",
        },
    )
    found = joined(WHEEL, clocks=clocks)
    assert (found.first_seen_image, found.first_seen_site) == ("2026-01-05", "2025-12-01")
    assert found.fix_available == "2026-01-01"


def test_a_fix_for_one_release_is_none_for_another() -> None:
    """The clock of a fix is that of this package in this release of the distribution."""
    for system, expected in (("debian 12", ""), ("debian 11", "2026-01-01")):
        clocks = Clocks(fixes={FixPlace("CVE-2099-1111", "git", system): "2026-01-01"})
        assert joined(GIT, clocks=clocks).fix_available == expected


def test_the_advisorys_date_goes_before_ours() -> None:
    """Where the advisory says since when there is a fix, our first sight does not count; without a fix none does."""
    clocks = Clocks(fixes={FixPlace("CVE-2099-1111", "git", "debian 11"): "2026-01-01"})
    told = msgspec.structs.replace(GIT, fix_available="2026-02-02")
    assert joined(told, clocks=clocks).fix_available == "2026-02-02"
    assert joined(msgspec.structs.replace(GIT, fixed_version=""), clocks=clocks).fix_available == ""


@pytest.mark.parametrize(
    ("finding", "day", "expected"),
    [
        (GIT, "2026-03-04", True),
        (GIT, "2026-03-03", False),
        (msgspec.structs.replace(GIT, source="bash"), DAY, False),
        (msgspec.structs.replace(GIT, source="", package="git"), DAY, True),
        (WHEEL, DAY, None),
        (msgspec.structs.replace(GIT, manager="python"), DAY, None),
    ],
)
def test_ended_support_is_a_fact_about_source_packages(
    finding: Finding,
    day: str,
    expected: bool | None,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The table speaks of the distribution's own packages by source, from the day on that it names."""
    feeds = Feeds(packages={("debian", "11"): PackageSupport(ends={"git": "2026-03-04"})})
    assert joined(finding, feeds, day=day).support_ended is expected


def test_no_table_for_the_release_is_no_answer() -> None:
    """Another release's table says nothing of this one."""
    feeds = Feeds(packages={("debian", "12"): PackageSupport(ends={"git": "2026-03-04"})})
    assert joined(GIT, feeds).support_ended is None


def test_what_has_a_clock() -> None:
    """All names, and the fixes whose date no advisory tells, in the places where they will be looked for."""
    told = msgspec.structs.replace(GIT, vulnerability="CVE-2099-4444", fix_available="2026-02-02")
    unfixed = msgspec.structs.replace(GIT, vulnerability="CVE-2099-5555", fixed_version="")
    found = sightings((GIT, WHEEL, told, unfixed), DEBIAN)
    assert found.names == {
        "CVE-2099-1111",
        "GO-2099-1",
        "CVE-2099-2222",
        "CVE-2099-3333",
        "CVE-2099-4444",
        "CVE-2099-5555",
    }
    assert found.fixes == {*fix_places(GIT, DEBIAN), *fix_places(WHEEL, DEBIAN)}
    assert fix_places(GIT, DEBIAN) == (FixPlace("CVE-2099-1111", "git", "debian 11"),)


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_NAME + 1), "CVE-2099-1111\0"])
def test_names_that_no_database_keeps_have_no_clock(name: str) -> None:
    """An image's owner chooses names: none of them may keep a verdict from being stored."""
    hostile = msgspec.structs.replace(GIT, vulnerability=name, source=name, package=name)
    assert sightings((hostile,), DEBIAN) == Sightings()
    assert sightings((msgspec.structs.replace(GIT, source=name or "\0"),), DEBIAN).fixes == frozenset()
    assert joined(hostile) == hostile
