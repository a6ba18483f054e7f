# SPDX-License-Identifier: Apache-2.0
"""Records, the log with its bad days, and reading it back."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.audit import query
from sifgate.audit.log import AuditLog
from sifgate.audit.record import (
    ARGV_LIMIT,
    AuditRecord,
    Stand,
    argv_lines,
    compose,
    decode,
    encode,
    escape,
    iso,
    record_id,
    reference_code,
)
from sifgate.errors import AuditError
from sifgate.model.decision import Action, Decision, Reason
from sifgate.model.finding import Finding
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, JobFacts, LaunchEvent, Requester

_LIBC = ctypes.CDLL(None, use_errno=True)
REFERENCE = ImageReference("x.sif", ReferenceKind.PATH, "/home/alice/x.sif")


def record(number: int = 0, **changes: Any) -> AuditRecord:
    """Return a record like those that launches leave."""
    launch = LaunchEvent(
        Door.SPANK, Requester(1000 + number % 3, 100, "alice", ("lab",), trusted=True), REFERENCE
    )
    finding = Finding("CVE-2025-48384", "git", "1:2.30.2")
    reason = Reason("kev-fixable", Action.BLOCK, "known to be exploited", (finding,), 1)
    decision = Decision(Action.BLOCK, Action.BLOCK, (reason,), policy_digest="sha256:aa", mode="enforce")
    identifier = record_id(1_800_000_000 + number, number.to_bytes(6, "big"))
    made = compose(
        identifier,
        now=1_800_000_000 + number,
        node="n1",
        launch=msgspec.structs.replace(launch, job=JobFacts(job_id=number)),
        decision=decision,
        stand=Stand(state="known", fingerprint="ab" * 32, verdict="sha256:bb", generation="g"),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    """An open log."""
    made = AuditLog(tmp_path / "audit.jsonl")
    yield made
    made.close()


def read(path: Path) -> list[AuditRecord]:
    """Return all records of a file, oldest first."""
    return [decode(line) for line in path.read_bytes().splitlines() if line]


def test_record_survives_its_encoding() -> None:
    """A record read back is the record written."""
    assert decode(encode(record())) == record()


def test_record_holds_what_a_decision_is_computed_from() -> None:
    """Policy, verdict, generation, clock, requester, job, door and outcome are all there."""
    line = msgspec.json.decode(encode(record(7)))
    for key in (
        "policy",
        "verdict",
        "generation",
        "time",
        "uid",
        "job",
        "door",
        "action",
        "would_be",
        "fingerprint",
    ):
        assert line[key] not in ("", None), key
    assert line["reasons"][0]["findings"] == ["CVE-2025-48384 git 1:2.30.2"]


def test_ids_sort_by_time() -> None:
    """A later record has a greater id, and its code has the shape that people read out."""
    earlier, later = record_id(1.0, b"\xff" * 6), record_id(1.001, b"\0" * 6)
    assert earlier < later
    assert reference_code(later) == "0000-00"
    assert len(reference_code(record_id(2.0, os.urandom(6)))) == 7


def test_time_is_utc_with_milliseconds() -> None:
    """The clock is told without doubt."""
    assert iso(1_800_000_000.5) == "2027-01-15T08:00:00.500Z"


@given(st.lists(st.text(st.characters(codec=None), max_size=3000), max_size=20))
def test_user_words_stay_small_and_plain(words: list[str]) -> None:
    """Whatever a user types, the record's argv is bounded, printable, and hashed whole."""
    argv = tuple(
        word.encode("utf-8", "surrogateescape" if _escapable(word) else "replace").decode(
            "utf-8", "surrogateescape"
        )
        for word in words
    )
    lines, digest = argv_lines(argv)
    assert sum(map(len, lines)) <= ARGV_LIMIT
    assert all(line.isprintable() for line in lines)
    assert len(digest) == (64 if argv else 0)


def _escapable(word: str) -> bool:
    try:
        word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


@given(st.text(st.characters(codec=None), max_size=2000))
def test_escaped_text_has_no_control_characters(text: str) -> None:
    """Terminal sequences, newlines and odd bytes become visible, and a line of JSON stays a line."""
    shown = escape(text)
    assert shown.isprintable()
    made = encode(record(detail=shown))
    assert made.count(b"\n") == 1


def test_escapes_are_readable() -> None:
    """Each kind of character has its form."""
    assert escape("a\x1b[31m\n\udcff\u202e") == "a\\x1b[31m\\x0a\\xff\\u202e"
    assert escape("x" * 5000) == "x" * 1023 + "…"


def test_log_is_private_and_append_only(log: AuditLog) -> None:
    """Mode 0640, and what stands there stays."""
    log.append(encode(record(1)))
    log.append(encode(record(2)) + encode(record(3)), 2)
    log.sync()
    assert log.path.stat().st_mode & 0o777 == 0o640
    assert [found.job for found in read(log.path)] == [1, 2, 3]
    assert log.lines == 3


def test_torn_last_line_is_closed(tmp_path: Path) -> None:
    """After a power loss the next record begins on a line of its own, and nothing before it is lost."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(encode(record(1)) + encode(record(2))[:40])
    log = AuditLog(path)
    log.append(encode(record(3)))
    log.close()
    found = query.find(path, lambda _: True)
    assert [each.job for each in found.records] == [3, 1]
    assert found.unreadable == 1


def test_rotation_loses_nothing(log: AuditLog) -> None:
    """Renamed away, the old file keeps what it got, and the new one is begun."""
    log.append(encode(record(1)))
    log.path.rename(log.path.with_name("audit.jsonl.1"))
    log.append(encode(record(2)))
    assert log.reopen_if_rotated()
    log.append(encode(record(3)))
    assert not log.reopen_if_rotated()
    assert [found.job for found in read(log.path.with_name("audit.jsonl.1"))] == [1, 2]
    assert [found.job for found in read(log.path)] == [3]
    assert [found.job for found in query.find(log.path, lambda _: True).records] == [3, 2, 1]


def test_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """The log is never somebody else's choice of file."""
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    log = AuditLog(tmp_path / "audit.jsonl")
    with pytest.raises(AuditError):
        log.append(encode(record()))
    assert not (tmp_path / "elsewhere").exists()


def test_unwritable_file_is_an_error_each_time_and_counted(tmp_path: Path) -> None:
    """No directory, no log: said, counted, and over once it is there."""
    log = AuditLog(tmp_path / "missing" / "audit.jsonl")
    for _ in range(2):
        with pytest.raises(AuditError):
            log.append(encode(record()))
    assert (log.failures, log.failing) == (2, True)
    (tmp_path / "missing").mkdir()
    log.append(encode(record()))
    assert not log.failing
    log.close()


def fill(log: AuditLog) -> int:
    """Append until the disk is full; return the last number that fitted."""
    for number in range(1000):
        try:
            log.append(encode(record(number)))
        except AuditError:
            return number - 1
    raise AssertionError("the disk is never full")


@pytest.mark.root
def test_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    """What did not fit is an error; after room was made the torn line is closed and the next one whole."""
    place = tmp_path / "small"
    place.mkdir()
    if _LIBC.mount(b"sifgate-test", bytes(place), b"tmpfs", 0, b"size=64k") != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        (place / "ballast").write_bytes(b"x" * 40_000)
        log = AuditLog(place / "audit.jsonl")
        written = fill(log)
        (place / "ballast").unlink()
        log.append(encode(record(5000)))
        log.close()
        found = query.find(log.path, lambda _: True, limit=2000)
        assert found.records[0].job == 5000
        assert found.records[1].job == written
    finally:
        assert _LIBC.umount2(bytes(place), 2) == 0


def test_queries_filter_and_end(log: AuditLog) -> None:
    """Filters are joined by "and"; the newest come first; the limit holds."""
    for number in range(50):
        log.append(encode(record(number)))
    jobs = [found.job for found in query.find(log.path, query.matcher({"uid": "1000"}), limit=3).records]
    assert jobs == [48, 45, 42]
    assert query.find(log.path, query.matcher({"job": "7", "uid": "1002"})).records == []
    assert len(query.find(log.path, query.matcher({"cve": "CVE-2025-48384"}), limit=100).records) == 50
    assert query.by_reference(log.path, record(9).reference.lower(), lambda _: True) == record(9)
    assert query.by_reference(log.path, record(9).id, lambda _: True) == record(9)
    assert query.by_reference(log.path, record(9).reference, lambda _: False) is None


@pytest.mark.parametrize("filters", [{"colour": "red"}, {"job": "many"}])
def test_bad_filters_are_said(filters: dict[str, str]) -> None:
    """An unknown filter or a word for a number is an error, not an empty answer."""
    with pytest.raises(ValueError, match=r"colour|invalid literal"):
        query.matcher(filters)


def test_foreign_lines_are_counted_not_fatal(log: AuditLog) -> None:
    """Garbage between records is skipped, whatever its length."""
    log.append(encode(record(1)))
    with log.path.open("ab") as file:
        file.write(b"\xff\xfe garbage\n{}\n[1]\n" + b"x" * 600_000 + b"\n")
    log.append(encode(record(2)))
    found = query.find(log.path, lambda _: True)
    assert [each.job for each in found.records] == [2, 1]
    assert found.unreadable >= 4


def test_missing_log_is_empty(tmp_path: Path) -> None:
    """Nothing has happened yet: no records, no error."""
    assert query.find(tmp_path / "audit.jsonl", lambda _: True).records == []
