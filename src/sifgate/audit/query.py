# SPDX-License-Identifier: Apache-2.0
"""Reading the audit log back: newest first, filtered, bounded; torn or foreign lines are counted, never fatal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from sifgate.audit.record import CHAIN, AuditRecord, decode

CHUNK = 1 << 18
LINE_LIMIT = 1 << 18
"""Bytes of the longest line that is looked at; a record has at most some 20 KiB."""


class Found(msgspec.Struct):
    """The answer to a query."""

    records: list[AuditRecord] = []
    """Newest first."""
    unreadable: int = 0
    """Lines that hold no record."""


def backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file from the last to the first, without its newlines; nothing for a missing file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        position = os.fstat(descriptor).st_size
        rest = b""
        while position > 0:
            size = min(CHUNK, position)
            position -= size
            block = os.pread(descriptor, size, position) + rest
            first, *lines = block.split(b"\n")
            yield from (line for line in reversed(lines) if line)
            rest = first[:LINE_LIMIT]
        if rest:
            yield rest
    finally:
        os.close(descriptor)


def rotated(path: Path) -> list[Path]:
    """Return the log and its uncompressed predecessors (`audit.jsonl.1`, `audit.jsonl-20260101`), newest first."""
    older = [
        found for found in path.parent.glob(path.name + "[.-]*") if found.suffix not in (".gz", ".zst", ".xz")
    ]
    older.sort(key=lambda found: found.stat().st_mtime, reverse=True)
    return [path, *older]


def find(path: Path, wanted: Callable[[AuditRecord], bool], *, limit: int = 100) -> Found:
    """Return the newest records that `wanted` accepts, at most `limit`, from the log and its rotated files."""
    found = Found()
    for part in rotated(path):
        for line in backwards(part):
            try:
                record = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                found.unreadable += 1
                continue
            if wanted(record):
                found.records.append(record)
                if len(found.records) >= limit:
                    return found
    return found


def by_reference(path: Path, reference: str, allowed: Callable[[AuditRecord], bool]) -> AuditRecord | None:
    """Return the newest record with this code (or id) that the asker may see; None where there is none."""
    wanted = reference.strip().upper()
    identifier = reference.strip().lower()

    def matches(record: AuditRecord) -> bool:
        return (record.reference == wanted or record.id == identifier) and allowed(record)

    records = find(path, matches, limit=1).records
    return records[0] if records else None


def matcher(filters: dict[str, str]) -> Callable[[AuditRecord], bool]:
    """Return the test for a set of filters (`FILTERS`), all of which must hold; `since` is an ISO time.

    What the chain tells of the log itself is passed over unless asked for with `outcome`. An unknown filter or a bad
    number raises ValueError.
    """
    tests: list[Callable[[AuditRecord], bool]] = []
    if filters.get("outcome") != CHAIN:
        tests.append(lambda record: record.outcome != CHAIN)
    for name, value in filters.items():
        if name not in _TESTS:
            raise ValueError(f"unknown filter {name!r} (known: {', '.join(sorted(_TESTS))})")
        tests.append(_TESTS[name](value))
    return lambda record: all(test(record) for test in tests)


_TESTS: dict[str, Callable[[str], Callable[[AuditRecord], bool]]] = {
    "user": lambda value: lambda record: record.user == value,
    "uid": lambda value: _equals("uid", int(value)),
    "job": lambda value: _equals("job", int(value)),
    "action": lambda value: lambda record: record.action == value,
    "outcome": lambda value: lambda record: record.outcome == value,
    "door": lambda value: lambda record: record.door == value,
    "state": lambda value: lambda record: record.state == value,
    "image": lambda value: lambda record: value in record.image or value in record.path,
    "account": lambda value: lambda record: record.account == value,
    "partition": lambda value: lambda record: record.partition == value,
    "rule": lambda value: lambda record: any(reason.rule == value for reason in record.reasons),
    "fingerprint": lambda value: lambda record: record.fingerprint.startswith(value),
    "since": lambda value: lambda record: record.time >= value,
    "cve": lambda value: (
        lambda record: any(value in finding for reason in record.reasons for finding in reason.findings)
    ),
}
FILTERS = tuple(_TESTS)
"""The words by which records are searched."""


def _equals(field: str, value: int) -> Callable[[AuditRecord], bool]:
    return lambda record: getattr(record, field) == value
