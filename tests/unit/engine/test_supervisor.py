# SPDX-License-Identifier: Apache-2.0
"""A part that keeps dying is given up loudly, the others go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog

from sifgate.config import Places
from sifgate.engine import layout, report, supervisor
from sifgate.engine.accounts import Account, Accounts
from sifgate.engine.parts import NAMES, Engine
from sifgate.engine.settings import EngineSettings

ME = Account("me", os.geteuid(), os.getegid())


@pytest.fixture
def parent(short: Path) -> supervisor.Supervisor:
    """A supervisor without parts."""
    found = layout.Layout(Places.under(short))
    everybody = Accounts(db=ME, clair=ME, server=ME, scan=ME, agent=ME)
    layout.prepare(found, everybody)
    engine = Engine(found, everybody, EngineSettings(), without=frozenset(NAMES))
    return supervisor.Supervisor(engine, structlog.get_logger())


def test_given_up_after_many_tries(parent: supervisor.Supervisor, short: Path) -> None:
    """After ten failed starts in a row the part is `failed`, the report says why, and it is not tried again."""
    child = supervisor.Child("clair")
    parent._children = [child]
    for count in range(supervisor.TRIES):
        assert child.state != "failed", f"given up after {count}"
        parent._count_failure(child, "ended with status 1")
    parent._look_after(child)
    assert child.state == "failed"
    parent._tell()
    told = report.read(short / "run" / "engine.json")
    assert told is not None
    assert (told.phase, told.parts["clair"].state) == ("failed", "failed")
    assert "given up" in told.message


def test_a_start_that_cannot_be_made_counts(parent: supervisor.Supervisor) -> None:
    """A missing program is a failed start of that part, not the end of the supervisor."""
    child = supervisor.Child("clair")
    parent._children = [child]
    parent._guarded_start(child)
    assert (child.state, child.failures) == ("down", 1)
    assert child.detail


def test_stable_part_starts_with_a_clean_slate(parent: supervisor.Supervisor) -> None:
    """Failures count in a row only: a part that ran for a minute is restarted at once again."""
    child = supervisor.Child("clair")
    child.failures, child.state, child.started = 5, "up", -1000.0

    class Living:
        """A process that lives."""

        def poll(self) -> None:
            """It has not ended."""

    child.popen = Living()  # type: ignore[assignment]
    parent._look_after(child)
    assert child.failures == 0
