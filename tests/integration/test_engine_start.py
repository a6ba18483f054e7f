# SPDX-License-Identifier: Apache-2.0
"""The engine comes up with its advisories."""

from __future__ import annotations

import pytest
from tests.integration.conftest import RunningEngine

from sifgate.engine import advisories, clair, report
from sifgate.engine.settings import EngineSettings

pytestmark = pytest.mark.engine


def test_every_shipped_advisory_is_loaded(engine: RunningEngine) -> None:
    """Clair holds the rows of all shipped files and of the extra directory, with the date of the data."""
    dsn = clair.dsn(engine.layout, EngineSettings(), "clair_matcher")
    loaded = {row.updater: row for row in advisories.counts(dsn, advisories.shipped_dates())}
    assert loaded["debian/updater"].count == 44_720
    assert loaded["osv/pypi"].count == 5_084
    assert loaded["osv/go"].count == 7_540
    assert loaded["alpine-main-v3.8-updater"].count == 7
    assert loaded["osv/pypi"].as_of.year == 2024


def test_report_says_up(engine: RunningEngine) -> None:
    """The report is `up` only with all parts up and the advisories counted."""
    found = report.alive(engine.layout.state_file)
    assert found is not None
    assert found.phase == "up"
    assert {name for name, part in found.parts.items() if part.state == "up"} == {
        "database",
        "mirror",
        "clair",
    }
    assert sum(row.count for row in found.advisories) > 57_000
