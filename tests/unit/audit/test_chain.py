# SPDX-License-Identifier: Apache-2.0
"""The chain of a log: made as lines are written, taken up after whatever happened to the file."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.records import record

from sifgate.audit import chain as events
from sifgate.audit.chain import Chain, head_of
from sifgate.audit.files import history, lines
from sifgate.audit.log import AuditLog
from sifgate.audit.record import CHAIN, AuditRecord, decode, encode
from sifgate.audit.verify import sorted_files, verify
from sifgate.errors import AuditError


@pytest.fixture
def open_log(tmp_path: Path) -> Callable[[], AuditLog]:
    """Open the node's log as an agent that has just started does."""
    return lambda: AuditLog(tmp_path / "audit.jsonl", chain=Chain("n1", tmp_path / "chain.json"))


def write(log: AuditLog, *numbers: int) -> None:
    """Append records with these job numbers."""
    for number in numbers:
        log.append(encode(record(number)))


def told(log: AuditLog) -> list[AuditRecord]:
    """Return all records of the log and its predecessors, oldest first."""
    found = []
    for file in history(log.path):
        for _, line in lines(file):
            try:
                found.append(decode(line))
            except ValueError:
                continue
    return found


def notes(log: AuditLog) -> list[str]:
    """Return what the chain says of itself."""
    return [each.event for each in told(log) if each.outcome == CHAIN]


def assert_linked(log: AuditLog) -> None:
    """Each whole line names the hash of the one before, and the numbers have no gap."""
    raw = [line for file in history(log.path) for _, line in lines(file)]
    chained = [(decode(line), line) for line in raw if line.startswith(b"{") and line.endswith(b"}")]
    for (_, before), (after, _line) in itertools.pairwise(chained):
        assert after.prev == head_of(before)
    assert [each.seq for each, _ in chained] == list(range(1, len(chained) + 1))


Open = Callable[[], AuditLog]


def test_each_line_names_the_one_before(open_log: Open) -> None:
    """From the record that begins the chain on; several lines of one write included."""
    log = open_log()
    write(log, 1, 2)
    log.append(encode(record(3)) + encode(record(4)), 2)
    log.close()
    assert_linked(log)
    assert notes(log) == [events.BEGUN]
    assert [each.job for each in told(log)] == [0, 1, 2, 3, 4]
    assert log.lines == 4


def test_chain_goes_on_after_a_restart(open_log: Open) -> None:
    """Nothing is begun anew, and nothing is said: there is no discontinuity."""
    for number in (1, 2, 3):
        log = open_log()
        write(log, number)
        log.close()
    assert_linked(open_log())
    assert notes(open_log()) == [events.BEGUN]


@pytest.mark.parametrize("pack", [None, gzip.compress])
def test_chain_goes_on_after_rotation(open_log: Open, pack: Callable[[bytes], bytes] | None) -> None:
    """Across a rename while running, and across one, packed or not, while no agent ran."""
    log = open_log()
    write(log, 1)
    log.path.rename(log.path.with_name("audit.jsonl.2"))
    assert log.reopen_if_rotated()
    write(log, 2)
    log.close()
    if pack is None:
        log.path.rename(log.path.with_name("audit.jsonl.1"))
    else:
        log.path.with_name("audit.jsonl.1.gz").write_bytes(pack(log.path.read_bytes()))
        log.path.unlink()
    again = open_log()
    write(again, 3)
    again.close()
    assert_linked(again)
    assert notes(again) == [events.BEGUN]
    assert [each.job for each in told(again)] == [0, 1, 2, 3]


def test_torn_line_is_told_of(open_log: Open) -> None:
    """After a power loss in the middle of a line the chain goes on from the last whole one, and says so."""
    log = open_log()
    write(log, 1)
    log.close()
    with log.path.open("ab") as file:
        file.write(encode(record(2))[:50])
    again = open_log()
    write(again, 3)
    again.close()
    assert_linked(again)
    assert notes(again) == [events.BEGUN, events.TORN]


def test_copytruncate_is_told_of(open_log: Open) -> None:
    """A file that was cut while it was written keeps the chain, and the cut is a record."""
    log = open_log()
    write(log, 1, 2)
    log.path.with_name("audit.jsonl.1").write_bytes(log.path.read_bytes())
    os.truncate(log.path, 0)
    assert not log.reopen_if_rotated()
    write(log, 3)
    log.close()
    assert_linked(log)
    assert notes(log) == [events.BEGUN, events.TRUNCATED]


def test_foreign_bytes_are_told_of(open_log: Open) -> None:
    """Whoever else writes into the open file is noticed at the next look, and his bytes end on their own line."""
    log = open_log()
    write(log, 1)
    with log.path.open("ab") as file:
        file.write(b"somebody else")
    log.reopen_if_rotated()
    write(log, 2)
    log.close()
    assert_linked(log)
    assert notes(log) == [events.BEGUN, events.FOREIGN]


def test_lines_that_vanished_while_no_agent_ran_are_told_of(open_log: Open) -> None:
    """The anchor knows how far the chain was: a shortened log leaves a gap, and a record that names it."""
    log = open_log()
    write(log, 1, 2, 3)
    log.close()
    kept = log.path.read_bytes().splitlines(keepends=True)[:2]
    log.path.write_bytes(b"".join(kept))
    again = open_log()
    write(again, 4)
    again.close()
    last = told(again)[-2]
    assert (last.event, last.seq) == (events.MISSING, 5)
    assert "records 3 to 4" in last.detail


def test_lost_log_does_not_begin_a_new_chain(open_log: Open) -> None:
    """With the log gone and the anchor there, the chain goes on and says what is missing."""
    log = open_log()
    write(log, 1)
    chain = log.chain
    log.close()
    log.path.unlink()
    again = open_log()
    write(again, 2)
    again.close()
    first = told(again)[0]
    assert chain is not None
    assert (first.event, first.seq, first.chain) == (events.MISSING, 3, chain.stand.chain)


def test_altered_last_line_is_told_of(open_log: Open) -> None:
    """The next record is bound to the line as it was written, not as it is now."""
    log = open_log()
    write(log, 1)
    log.close()
    log.path.write_bytes(log.path.read_bytes().replace(b"alice", b"mally"))
    again = open_log()
    write(again, 2)
    again.close()
    assert notes(again) == [events.BEGUN, events.ALTERED]


def test_damaged_anchor_is_told_of(open_log: Open, tmp_path: Path) -> None:
    """Half an anchor is no anchor; the log's own last line is gone on from."""
    log = open_log()
    write(log, 1)
    log.close()
    (tmp_path / "chain.json").write_bytes(b'{"chain":"ab')
    again = open_log()
    write(again, 2)
    again.close()
    assert_linked(again)
    assert notes(again) == [events.BEGUN, events.MISSING]


def test_old_lines_stay_before_the_chain(open_log: Open) -> None:
    """A log of schema 1 is left as it is; the chain begins behind it."""
    log = open_log()
    old = b"".join(encode(record(number)) for number in (1, 2))
    log.path.write_bytes(old)
    write(log, 3)
    log.close()
    assert log.path.read_bytes().startswith(old)
    assert notes(log) == [events.BEGUN]
    assert [each.seq for each in told(log)] == [0, 0, 1, 2]


def test_write_that_ends_early_keeps_the_chain(open_log: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle of the second of three lines: the first counts, the rest is told of."""
    log = open_log()
    write(log, 1)
    real = os.write
    batch = b"".join(encode(record(number)) for number in (2, 3, 4))

    def short(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[: data.index(b"\n") + 40])

    monkeypatch.setattr("sifgate.audit.log.os.write", short)
    with pytest.raises(AuditError):
        log.append(batch, 3)
    monkeypatch.undo()
    write(log, 5)
    log.close()
    assert_linked(log)
    assert notes(log) == [events.BEGUN, events.TORN]
    assert [each.job for each in told(log)] == [0, 1, 2, 0, 5]


def test_write_that_fails_whole_leaves_no_gap(open_log: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing got in: the next record takes the number, and there is nothing to tell of."""
    log = open_log()
    write(log, 1)

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sifgate.audit.log.os.write", full)
    with pytest.raises(AuditError):
        write(log, 2)
    monkeypatch.undo()
    write(log, 3)
    log.close()
    assert_linked(log)
    assert notes(log) == [events.BEGUN]


@pytest.mark.parametrize("pack", [None, gzip.compress])
def test_torn_file_that_was_rotated_away_is_told_of(
    open_log: Open, pack: Callable[[bytes], bytes] | None
) -> None:
    """Power loss, then logrotate, then the agent: the chain goes on from the last whole line, and says so."""
    log = open_log()
    write(log, 1)
    log.close()
    torn = log.path.read_bytes() + encode(record(2))[:50]
    name = "audit.jsonl.1.gz" if pack else "audit.jsonl.1"
    log.path.with_name(name).write_bytes(pack(torn) if pack else torn)
    log.path.unlink()
    again = open_log()
    write(again, 3)
    again.close()
    assert_linked(again)
    assert notes(again) == [events.BEGUN, events.FOREIGN]
    assert verify(sorted_files(history(again.path))).intact


def test_damaged_packed_file_keeps_nobody_from_writing(open_log: Open) -> None:
    """The chain goes on from the anchor, and what cannot be read is told of as missing."""
    log = open_log()
    write(log, *range(1, 40))
    log.close()
    packed = gzip.compress(log.path.read_bytes())
    log.path.with_name("audit.jsonl.1.gz").write_bytes(packed[: len(packed) // 2])
    log.path.unlink()
    again = open_log()
    write(again, 99)
    again.close()
    first, last = (decode(line) for _, line in lines(again.path))
    assert (first.event, first.seq, last.seq) == (events.MISSING, 41, 42)
