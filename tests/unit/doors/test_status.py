# SPDX-License-Identifier: Apache-2.0
"""`sifgate status` shows the doors of the host that are in place or broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sifgate.cli import main, status
from sifgate.doors import table

if TYPE_CHECKING:
    from tests.unit.doors.conftest import Wicket


def test_doors_that_are_in_place_or_broken_are_shown(
    wickets: dict[str, Wicket],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Those that a site does not use only stand in the document."""
    monkeypatch.setattr(status, "HOST", tmp_path)
    monkeypatch.setattr(status, "MODULES", {**table.MODULES, "spank": "nowhere"})
    monkeypatch.setitem(table.MODULES, "spank", "nowhere")
    wickets["guard"].file(tmp_path).parent.mkdir()
    wickets["guard"].file(tmp_path).touch()
    words = ["--root", str(tmp_path), "status"]
    assert main.main(words) == 3
    shown = capsys.readouterr().out.split("doors of this host:")[1]
    assert [line.split()[:2] for line in shown.splitlines()[2:]] == [["guard", "in"], ["spank", "problem"]]
    main.main([*words, "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["doors"]] == ["wrapper", "guard", "spank"]
