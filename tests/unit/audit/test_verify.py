# SPDX-License-Identifier: Apache-2.0
"""`verify` names the first altered, missing, re-ordered or foreign line, across files, and else nothing."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.records import record

from sifgate.audit.chain import Chain, Link, head_of, place_of
from sifgate.audit.files import history
from sifgate.audit.findings import Verified
from sifgate.audit.log import AuditLog
from sifgate.audit.record import encode
from sifgate.audit.verify import sorted_files, verify


def chained(place: Path, count: int) -> list[bytes]:
    """Return the lines of a log of `count` records; the first begins the chain."""
    log = AuditLog(place / "audit.jsonl", chain=Chain("n1", place / "chain.json"))
    for number in range(1, count):
        log.append(encode(record(number)))
    log.close()
    found = log.path.read_bytes().splitlines()
    log.path.unlink()
    (place / "chain.json").unlink()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The twelve lines of a log."""
    return chained(tmp_path_factory.mktemp("log"), 12)


def check(place: Path, lines: list[bytes], heads: tuple[Link, ...] = ()) -> Verified:
    """Verify a log of these lines."""
    (place / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return verify(sorted_files(history(place / "audit.jsonl")), heads)


def first(found: Verified) -> tuple[str, int]:
    """Return kind and line of the first problem."""
    assert found.first is not None
    return found.first.kind, found.first.line


def test_whole_log_is_intact(tmp_path: Path, whole: list[bytes]) -> None:
    """Nothing wrong is found where nothing is, nor in an empty log."""
    found = check(tmp_path, whole)
    assert (found.intact, found.records, list(found.chains.values())) == (True, 12, [(1, 12)])
    assert check(tmp_path, []).intact


def test_any_changed_byte_names_its_line(
    tmp_path_factory: pytest.TempPathFactory, whole: list[bytes]
) -> None:
    """Whichever byte of whichever line but the last: content, number, chain, hash, brace or newline.

    The very first has no line before it: where its own number was changed, the second is named.
    """
    place = tmp_path_factory.mktemp("bytes")
    content = b"".join(line + b"\n" for line in whole)
    end = len(content) - len(whole[-1]) - 2

    @settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.integers(0, end), st.integers(1, 255))
    def changed(index: int, by: int) -> None:
        altered = bytearray(content)
        altered[index] ^= by
        (place / "audit.jsonl").write_bytes(altered)
        found = verify([place / "audit.jsonl"])
        line = content.count(b"\n", 0, index) + 1
        assert not found.intact
        assert found.first is not None
        assert found.first.line == line or (line == 1 and found.first.line == 2), found.problems

    changed()


def test_altered_record_is_named(tmp_path: Path, whole: list[bytes]) -> None:
    """With file, line, number and time."""
    lines = [*whole]
    lines[5] = lines[5].replace(b"alice", b"mally")
    found = check(tmp_path, lines)
    assert first(found) == ("altered", 6)
    assert found.first is not None
    assert (found.first.seq, found.first.time) == (6, record(5).time)
    assert found.first.file == str(tmp_path / "audit.jsonl")
    assert found.problem_count == 1


@pytest.mark.parametrize("index", range(1, 11))
def test_missing_record_is_named(tmp_path: Path, whole: list[bytes], index: int) -> None:
    """Wherever in the middle one was cut out."""
    found = check(tmp_path, whole[:index] + whole[index + 1 :])
    assert first(found) == ("missing", index + 1)
    assert found.first is not None
    assert found.first.seq == index + 1
    assert found.problem_count == 1


@pytest.mark.parametrize(("index", "to"), [(3, 4), (3, 8), (8, 3), (2, 11), (0, 1)])
def test_moved_record_is_named_as_reordered(tmp_path: Path, whole: list[bytes], index: int, to: int) -> None:
    """Earlier or later than its place: not missing, but out of order."""
    lines = [*whole]
    lines.insert(to, lines.pop(index))
    found = check(tmp_path, lines)
    assert found.first is not None
    assert found.first.kind == "reordered"
    assert {problem.kind for problem in found.problems} == {"reordered"}


def test_inserted_and_repeated_lines_are_foreign(tmp_path: Path, whole: list[bytes]) -> None:
    """A forged record without a place, garbage, and a copy of a line."""
    assert first(check(tmp_path, [*whole[:4], encode(record(99)).strip(), *whole[4:]])) == ("foreign", 5)
    assert first(check(tmp_path, [*whole[:4], b"\xff\x00garbage", *whole[4:]])) == ("foreign", 5)
    assert first(check(tmp_path, [*whole[:4], whole[2], *whole[4:]])) == ("foreign", 5)


def test_old_lines_are_before_the_chain(tmp_path: Path, whole: list[bytes]) -> None:
    """Schema 1 is accepted in front, counted, and nowhere else."""
    old = [encode(record(number)).strip() for number in (1, 2)]
    found = check(tmp_path, [*old, b"torn", *whole])
    assert (found.intact, found.before_chain) == (True, 3)


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", bytes),
    (".gz", gzip.compress),
    (".xz", lzma.compress),
    (".zst", zstandard.compress),
]


@pytest.mark.parametrize(("suffix", "pack"), PACKERS)
def test_rotated_files_are_read_in_order(
    tmp_path: Path, whole: list[bytes], suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    """Packed or not, whatever their times of change say; a problem in one names that file and its line."""

    def write(lines: list[bytes]) -> None:
        (tmp_path / f"audit.jsonl.2{suffix}").write_bytes(pack(b"".join(line + b"\n" for line in lines[:4])))
        (tmp_path / f"audit.jsonl.1{suffix}").write_bytes(pack(b"".join(line + b"\n" for line in lines[4:8])))
        os.utime(tmp_path / f"audit.jsonl.2{suffix}", (2e9, 2e9))

    write(whole)
    assert check(tmp_path, whole[8:]).intact
    lines = [*whole]
    lines[5] = lines[5].replace(b"alice", b"mally")
    write(lines)
    found = check(tmp_path, whole[8:])
    assert found.first is not None
    assert (found.first.kind, found.first.line) == ("altered", 2)
    assert found.first.file.endswith(f"audit.jsonl.1{suffix}")
    (tmp_path / f"audit.jsonl.1{suffix}").unlink()
    assert first(check(tmp_path, whole[8:])) == ("missing", 1)


def test_oldest_files_may_be_gone(tmp_path: Path, whole: list[bytes]) -> None:
    """Retention removed them: the rest is still bound, and says from where."""
    found = check(tmp_path, whole[6:])
    assert (found.intact, list(found.chains.values())) == (True, [(7, 12)])


def test_damaged_packed_file_is_a_problem_not_a_crash(tmp_path: Path, whole: list[bytes]) -> None:
    """Half a gzip file is unreadable, by name, and the rest is read on."""
    packed = gzip.compress(b"".join(line + b"\n" for line in whole[:8]))
    (tmp_path / "audit.jsonl.1.gz").write_bytes(packed[: len(packed) // 2])
    found = verify([tmp_path / "audit.jsonl.1.gz"])
    assert found.first is not None
    assert found.first.kind == "unreadable"
    assert found.first.file.endswith(".gz")


def heads_of(lines: list[bytes], *numbers: int) -> tuple[Link, ...]:
    """Return what a server kept of these records."""
    place = place_of(lines[0])
    assert place is not None
    chain = place.chain
    return tuple(Link(chain, number, head_of(lines[number - 1])) for number in numbers)


def test_heads_bind_what_the_chain_cannot(tmp_path: Path, whole: list[bytes]) -> None:
    """The last record, the newest ones cut off, and a log that was forged as a whole."""
    heads = heads_of(whole, 4, 9, 12)
    found = check(tmp_path, whole, heads)
    assert (found.intact, found.heads_matched, found.vouched) == (True, 3, 12)
    assert first(check(tmp_path, [*whole[:-1], whole[-1].replace(b"alice", b"mally")], heads)) == (
        "altered",
        12,
    )
    cut = check(tmp_path, whole[:10], heads)
    assert first(cut) == ("missing", 10)
    other = tmp_path / "other"
    other.mkdir()
    forged = chained(other, 12)
    own, ours = heads_of(forged, 4)[0].chain, heads[0].chain
    rewritten = tuple(Link(own, head.seq, head.head) for head in heads)
    found = check(tmp_path, forged, rewritten)
    assert own != ours
    assert first(found) == ("altered", 4)


def test_heads_of_pruned_records_are_counted(tmp_path: Path, whole: list[bytes]) -> None:
    """They vouch for records that retention has removed: no problem."""
    found = check(tmp_path, whole[6:], heads_of(whole, 3, 9))
    assert (found.intact, found.heads_matched, found.heads_older) == (True, 1, 1)


def test_line_being_written_is_a_note(tmp_path: Path, whole: list[bytes]) -> None:
    """A log may be checked while it grows."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in whole[:-1]) + whole[-1][:20])
    found = verify([path])
    assert found.intact
    assert [note.kind for note in found.notes] == ["torn"]


def test_missing_file_is_unreadable(tmp_path: Path) -> None:
    """A name that does not exist is no intact log."""
    found = verify([tmp_path / "nothing.jsonl"])
    assert not found.intact


def test_told_discontinuities_are_notes(tmp_path: Path) -> None:
    """What the agent itself recorded about its log is listed, and a torn line is no problem then."""
    for number in (1, 2):
        log = AuditLog(tmp_path / "audit.jsonl", chain=Chain("n1", tmp_path / "chain.json"))
        log.append(encode(record(number)))
        log.close()
        with log.path.open("ab") as file:
            file.write(b'{"id":"torn')
    log = AuditLog(tmp_path / "audit.jsonl", chain=Chain("n1", tmp_path / "chain.json"))
    log.append(encode(record(3)))
    log.close()
    found = verify([log.path])
    assert (found.intact, [note.kind for note in found.notes]) == (True, ["torn", "torn"])


def test_told_loss_is_still_a_loss(tmp_path: Path) -> None:
    """Records that vanished are missing, though the log itself tells of it."""
    log = AuditLog(tmp_path / "audit.jsonl", chain=Chain("n1", tmp_path / "chain.json"))
    for number in range(5):
        log.append(encode(record(number)))
    log.close()
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:3]))
    again = AuditLog(tmp_path / "audit.jsonl", chain=Chain("n1", tmp_path / "chain.json"))
    again.append(encode(record(9)))
    again.close()
    found = verify([log.path])
    assert first(found) == ("missing", 4)
    assert [note.kind for note in found.notes] == ["missing"]
