# SPDX-License-Identifier: Apache-2.0
"""`sifgate exceptions`: what is listed, what is written and never overwritten, how one ends early."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from sifgate.cli.main import main
from sifgate.policy.load import load_policy

POLICY = """\
schema: sifgate.policy/v1
mode: enforce
exceptions: {directory: exceptions.d, max_days: 90, announce: 14d, require: [ticket]}
rules:
  - {id: kev, when: {kev: true}, action: block}
"""
TODAY = datetime.now(timezone.utc).date()
ADD = (
    "exceptions",
    "add",
    "SEC-7",
    "--vulnerability",
    "CVE-2026-1",
    "--reason",
    "not reachable",
    "--ticket",
    "T-7",
)


@pytest.fixture
def directory(root: Path) -> Path:
    """Return the exceptions directory of a policy in force."""
    (root / "etc/policy.yaml").write_text(POLICY)
    path = root / "etc/exceptions.d"
    path.mkdir()
    return path


def entry(name: str, created: int, expires: int) -> str:
    """Return a file with one exception whose dates are so many days from today."""
    dates = f"created: {TODAY + timedelta(created)}, expires: '{TODAY + timedelta(expires)}'"
    return (
        "schema: sifgate.exceptions/v1\nexceptions:\n  # why we may\n"
        f"  - {{id: {name}, vulnerability: CVE-2026-1, reason: r, author: a, ticket: t, {dates}}}  # kept\n"
    )


def test_what_is_added_is_in_force(directory: Path, sifgate: Run) -> None:
    """One file with one exception, which the policy loads with every key that was given."""
    words = (
        *ADD,
        "--days",
        "60",
        "--package",
        "openssl",
        "--account",
        "bio01",
        "--until-fixed",
        "--author",
        "alice",
    )
    done = sifgate(*words, "--approved-by", "bob", "--path", "/apps/**")
    assert done.code == 0, done.err
    assert [path.name for path in directory.iterdir()] == ["SEC-7.yaml"]
    (found,) = load_policy(directory.parent / "policy.yaml").exceptions
    assert (found.id, found.vulnerabilities, found.author) == ("SEC-7", ("CVE-2026-1",), "alice")
    assert (found.created, found.expires) == (TODAY, TODAY + timedelta(days=60))
    assert (found.scope.account, found.scope.path, found.until) == (
        ("bio01",),
        ("/apps/**",),
        "fix_available",
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--days", "91"), "it lasts 91 days, the policy allows 90"),
        (("--days", "9", "--approved-by", "x", "--author", "X"), "author and approver are the same"),
        (("--days", "9", "--reason", "a\x1b[2Jb"), "control or invisible characters"),
        (("--days", "9", "--reason", "a\nb"), "control or invisible characters"),
        (("--days", "9", "--path", "apps/*"), "expected an absolute path"),
        (("--days", "9", "--image-digest", "sha256:1"), "64 lower-case hex digits"),
        (("--expires", "2001-01-01"), "it expires before"),
    ],
)
def test_what_the_policy_would_not_load_is_not_written(
    words: tuple[str, ...], text: str, directory: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The site's limits and the reader's rules hold before anything is written."""
    assert main(["--root", str(root), *ADD, *words]) == 2
    told = capsys.readouterr().err
    assert text in told
    assert "\x1b" not in told
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--expires", "01.01.2030"), "is not a date such as 2026-12-31"),
        (("--expires", "20300101"), "is not a date such as 2026-12-31"),
        (("--days", "soon"), "is not a number of days"),
        (("--days", "99999"), "is not a number of days"),
        ((), "one of the arguments --expires --days is required"),
        (("--days", "9", "--package", "a", "--purl", "pkg:deb/a"), "not allowed with argument"),
    ],
)
def test_usage_is_explained(
    words: tuple[str, ...], text: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command line itself refuses."""
    with pytest.raises(SystemExit) as caught:
        main(["--root", str(root), *ADD, *words])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("identity", ["../SEC-7", "/tmp/SEC-7", "a b", "", ".hidden", "x" * 64])
def test_an_id_is_never_a_path(
    identity: str, directory: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of the file is the id, so it can lead nowhere."""
    assert main(["--root", str(root), "exceptions", "add", identity, *ADD[3:], "--days", "9"]) == 2
    expected = "expected an id" if identity else 'the key "id" is missing'
    assert expected in capsys.readouterr().err
    assert list(directory.iterdir()) == []
    assert sorted(path.name for path in directory.parent.iterdir()) == ["exceptions.d", "policy.yaml"]


def test_an_exception_of_everything_is_not_written(directory: Path, sifgate: Run) -> None:
    """Neither vulnerability nor package means nothing, not everything."""
    done = sifgate("exceptions", "add", "SEC-7", *ADD[5:], "--days", "9")
    assert done.code == 2
    assert "it would except everything" in done.err
    assert list(directory.iterdir()) == []


def test_nothing_is_overwritten(directory: Path, sifgate: Run) -> None:
    """A second one with the same id is an error, in this file or in another, and the first is as it was."""
    assert sifgate(*ADD, "--days", "9").code == 0
    before = (directory / "SEC-7.yaml").read_bytes()
    again = sifgate(*ADD, "--days", "10")
    assert (again.code, "is there already" in again.err) == (2, True)
    (directory / "SEC-7.yaml").rename(directory / "others.yaml")
    taken = sifgate(*ADD, "--days", "10")
    assert (taken.code, 'the exception id "SEC-7" is taken' in taken.err) == (2, True)
    assert [path.read_bytes() for path in directory.iterdir()] == [before]


def test_a_dry_run_writes_nothing(directory: Path, sifgate: Run) -> None:
    """The file is shown as it would be."""
    done = sifgate(*ADD, "--days", "9", "--dry-run")
    assert done.code == 0
    assert "schema: sifgate.exceptions/v1" in done.out
    assert list(directory.iterdir()) == []


def test_without_a_directory_the_hint_says_what_to_do(root: Path, sifgate: Run) -> None:
    """A policy that names no directory has no place for exceptions."""
    (root / "etc/policy.yaml").write_text(POLICY.replace("directory: exceptions.d, ", ""))
    done = sifgate(*ADD, "--days", "9")
    assert done.code == 2
    assert "exceptions: {directory: /etc/sifgate/exceptions.d}" in done.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_an_error(directory: Path, sifgate: Run) -> None:
    """The error names the file."""
    directory.chmod(0o555)
    done = sifgate(*ADD, "--days", "9")
    directory.chmod(0o755)
    assert done.code == 2
    assert "cannot be written" in done.err


def test_a_list_shows_each_stage(directory: Path, sifgate: Run) -> None:
    """Active, expiring, expired and ahead; the one that ends first on top."""
    spans = {"gone": (-50, -1), "soon": (-50, 3), "later": (-50, 30), "ahead": (5, 50)}
    for name, (created, expires) in spans.items():
        (directory / f"{name}.yaml").write_text(entry(name, created, expires))
    document = sifgate("exceptions", "list", "--format", "json").document["exceptions"]
    assert [(each["id"], each["stage"], each["days_left"]) for each in document] == [
        ("gone", "expired", -1),
        ("soon", "expiring", 3),
        ("later", "active", 30),
        ("ahead", "ahead", 50),
    ]
    table = sifgate("exceptions", "list").out.splitlines()
    assert [line.split()[0] for line in table] == ["ID", "gone", "soon", "later", "ahead"]
    ending = sifgate("exceptions", "list", "--expiring", "31d", "--format", "json").document["exceptions"]
    assert [each["id"] for each in ending] == ["soon", "later"]
    assert "none ends within 1 days" in sifgate("exceptions", "list", "--expiring", "1d").out


def test_expire_changes_one_date_only(directory: Path, sifgate: Run) -> None:
    """The exception ended yesterday; comments and every other byte stay, and it is listed as expired."""
    path = directory / "soon.yaml"
    path.write_text(entry("soon", -50, 3))
    done = sifgate("exceptions", "expire", "soon")
    assert done.code == 0, done.err
    assert path.read_text() == entry("soon", -50, -1)
    (listed,) = sifgate("exceptions", "list", "--format", "json").document["exceptions"]
    assert listed["stage"] == "expired"
    again = sifgate("exceptions", "expire", "soon")
    assert (again.code, "anyway" in again.err) == (2, True)


def test_expire_of_what_is_not_there_changes_nothing(directory: Path, sifgate: Run) -> None:
    """Another id, and one that began today, are errors that leave the file as it is."""
    path = directory / "new.yaml"
    path.write_text(entry("new", 0, 3))
    unknown = sifgate("exceptions", "expire", "other")
    assert (unknown.code, "no such exception" in unknown.err) == (2, True)
    today = sifgate("exceptions", "expire", "new")
    assert (today.code, "take it out of" in today.err) == (2, True)
    assert path.read_text() == entry("new", 0, 3)


def test_a_broken_file_is_named(directory: Path, sifgate: Run) -> None:
    """No list is shown that leaves exceptions out."""
    (directory / "a.yaml").write_text(entry("a", -1, 3).replace("expires:", "expire:"))
    done = sifgate("exceptions", "list")
    assert done.code == 2
    assert f"{directory}/a.yaml:4:" in done.err
