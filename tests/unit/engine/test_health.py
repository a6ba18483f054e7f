# SPDX-License-Identifier: Apache-2.0
"""`sifgate status` believes processes, not reports."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec

from sifgate.config import Places
from sifgate.engine import health
from sifgate.engine.report import Loaded, PartReport, Process, Report

NOW = datetime(2026, 8, 22, tzinfo=timezone.utc)
ME = Process.of(os.getpid())
GONE = Process(ME.pid, ME.created - 1000.0)


def _look(place: Path, supervisor: Process, clair: Process) -> health.Health:
    parts = {"clair": PartReport("up", clair, version="Clair v4.9.0"), "database": PartReport("yours")}
    rows = (Loaded("debian/updater", "vulnerability", 7, NOW, NOW - timedelta(days=3)),)
    told = Report(supervisor, "up", "", NOW, enforcing=True, parts=parts, advisories=rows)
    (place / "run").mkdir()
    (place / "run" / "engine.json").write_bytes(msgspec.json.encode(told))
    return health.look(Places.under(place), NOW)


def test_everything_lives(short: Path) -> None:
    """With supervisor and parts alive it is up; the age of advisories is that of the data, not of the loading."""
    found = _look(short, ME, ME)
    assert (found.up, found.phase) == (True, "up")
    assert [(row.count, row.age_days) for row in found.advisories] == [(7, 3.0)]


def test_part_that_has_just_died(short: Path) -> None:
    """A part whose process is gone is down, whatever the report still says, and so it is not up."""
    found = _look(short, ME, GONE)
    assert not found.up
    assert {part.name: part.state for part in found.parts} == {"clair": "down", "database": "yours"}


def test_supervisor_that_was_killed(short: Path) -> None:
    """Parts without their supervisor are called unsupervised; nothing at all is called down."""
    assert _look(short, GONE, ME).phase == "unsupervised"


def test_nothing_was_ever_started(short: Path) -> None:
    """Without a report and an agent it is down, and the message says where was looked."""
    found = health.look(Places.under(short), NOW)
    assert (found.up, found.phase) == (False, "down")
    assert "agent.sock" in found.message
    assert found.sandbox
