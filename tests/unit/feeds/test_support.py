# SPDX-License-Identifier: Apache-2.0
"""Debian's tables of packages whose support ended early; the packages of the fixtures are made up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.errors import ConfigError
from sifgate.feeds import support, text
from sifgate.model.support import PackageSupport

ENDED = """
# a comment

oldbrowser               1.2.3-1~deb11u1     2022-01-14  https://example.org/announce
never-had        0    2019-01-01
lateparser\t4.0-1\t\t2027-05-01\ttext with  spaces; and CVE-2099-1111
family-.*    1.0-1    2023-03-03 all of a family
"""
COMBINED = """# the newer form
oldbrowser     limited  Only for trusted content
oldshell       non-supported   2.0-1\t2025-04-04\tabandoned
kept-one       supported  by special arrangement
kept-.*        non-supported   0  2020-01-01
golang*        limited  static linking
"""


def put(directory: Path, name: str, content: str) -> None:
    """Write a table."""
    (directory / name).write_text(content)


def test_both_forms(tmp_path: Path) -> None:
    """Each release has its own table; other files of the package are left alone."""
    put(tmp_path, "security-support-ended.deb11", ENDED)
    put(tmp_path, "security-support.deb12", COMBINED)
    put(tmp_path, "security-support-ended.deb13", "# none yet\n")
    put(tmp_path, "security-support-limited", "adns   only trusted\n")
    put(tmp_path, "check-support-status.hook", "#!/bin/sh\nexit 1\n")
    table = support.load(tmp_path)
    assert set(table.packages) == {("debian", "11"), ("debian", "12"), ("debian", "13")}
    assert len(table.digests) == 3
    assert table.date
    bullseye, bookworm = table.packages[("debian", "11")], table.packages[("debian", "12")]
    assert dict(bullseye.ends) == {
        "oldbrowser": "2022-01-14",
        "never-had": "2019-01-01",
        "lateparser": "2027-05-01",
    }
    assert dict(bookworm.ends) == {"oldbrowser": "", "oldshell": "2025-04-04", "kept-one": ""}
    names = ("oldbrowser", "oldshell", "kept-one", "kept-two", "golang-1.2", "bash")
    assert [name for name in names if bookworm.ended(name, "2026-01-01")] == ["oldshell", "kept-two"]


def test_support_ends_on_its_day(tmp_path: Path) -> None:
    """Before its day a package has support, from that day on none; others are not concerned; names are patterns."""
    put(tmp_path, "security-support-ended.deb11", ENDED)
    table = support.load(tmp_path).packages[("debian", "11")]
    assert [table.ended("lateparser", day) for day in ("2027-04-30", "2027-05-01", "2028-01-01")] == [
        False,
        True,
        True,
    ]
    assert table.ended("family-x", "2026-01-01")
    assert not table.ended("familyx", "2026-01-01")
    assert not table.ended("bash", "2099-01-01")


def test_the_calendar_changes_what_a_table_says(tmp_path: Path) -> None:
    """The newest end that was reached moves on the day an end comes, and on no other."""
    put(tmp_path, "security-support-ended.deb11", ENDED)
    table = support.load(tmp_path)
    assert [table.reached(day) for day in ("2018-01-01", "2026-01-01", "2027-04-30", "2027-05-01")] == [
        "",
        "2023-03-03",
        "2023-03-03",
        "2027-05-01",
    ]


def test_a_release_with_both_forms(tmp_path: Path) -> None:
    """What either says counts, the earlier date first."""
    put(tmp_path, "security-support-ended.deb12", "oldshell 1 2024-01-01\n")
    put(tmp_path, "security-support.deb12", COMBINED)
    assert support.load(tmp_path).packages[("debian", "12")].ends["oldshell"] == "2024-01-01"


def test_no_tables(tmp_path: Path) -> None:
    """A directory without tables says nothing of any release; a missing directory is an error that names it."""
    assert support.load(tmp_path) == support.Table()
    with pytest.raises(ConfigError, match="nowhere"):
        support.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("security-support-ended.deb11", "oldbrowser\n", 1),
        ("security-support-ended.deb11", "\noldbrowser 1.2\n", 2),
        ("security-support-ended.deb11", "oldbrowser 1.2 soon\n", 1),
        ("security-support-ended.deb11", "oldbrowser 1.2 2022-02-30\n", 1),
        ("security-support-ended.deb11", "oldbrowser 1.2 20220201\n", 1),
        ("security-support-ended.deb11", ENDED + "(a+)+$ 1.2 2022-02-01\n", 8),
        ("security-support-ended.deb11", "x" * 100_000 + " 1.2 2022-02-01\n", 1),
        ("security-support.deb12", COMBINED + "oldshell ended 1 2022-01-01\n", 7),
        ("security-support.deb12", "oldshell\n", 1),
        ("security-support.deb12", "oldshell non-supported 1\n", 1),
    ],
)
def test_bad_tables(tmp_path: Path, name: str, content: str, line: int) -> None:
    """An error names the file and the line, and repeats no more of it than one can read."""
    put(tmp_path, name, content)
    with pytest.raises(ConfigError, match=f"{name}:{line}: ".replace(".", r"\.")) as caught:
        support.load(tmp_path)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@given(st.text(), st.booleans())
def test_any_text_is_read_or_refused(content: str, combined: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever a file holds: a table, or an error of ours."""
    feed = text.FeedText(path=Path("t"), text=content, digest="d", modified="2099-01-01")
    try:
        found = support.parse(feed, combined=combined)
    except ConfigError:
        return
    assert isinstance(found, PackageSupport)


def test_the_published_tables() -> None:
    """Debian's own files, both forms, as they are at a site that has the package."""
    directory = Path(__file__).parents[4] / "shared" / "data" / "eol"
    if not directory.is_dir():
        pytest.skip(f"{directory} is not here")
    found = {}
    for path in sorted(directory.glob("security-support*.deb*")):
        combined = "ended" not in path.name
        found[path.name.partition(".from")[0]] = support.parse(text.read(path), combined=combined)
    assert found["security-support-ended.deb10"].ended("xen", "2021-08-28")
    assert not found["security-support-ended.deb10"].ended("xen", "2021-08-27")
    assert found["security-support.deb11"].ended("chromium", "2026-01-01")
    assert not found["security-support.deb11"].ended("binutils", "2026-01-01")
    assert not found["security-support-ended.deb11"].ends
