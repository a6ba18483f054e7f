# SPDX-License-Identifier: Apache-2.0
"""Feeds that a site renews while the engine runs, and a table of packages that it reads where Debian puts it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.integration.conftest import RunningEngine, new_root, start, stop
from tests.integration.server.site import eventually

pytestmark = pytest.mark.engine
HEAD = "#model_version:v1,score_date:2026-01-02T00:00:00Z\ncve,epss,percentile\n"


@pytest.fixture
def renewed() -> Iterator[RunningEngine]:
    """An engine with its server, whose settings name a directory of tables."""
    root = new_root()
    tables = root / "debian-security-support"
    tables.mkdir()
    (tables / "security-support-ended.deb11").write_text("oldbrowser 1 2022-01-14\n")
    (root / "etc" / "feeds").mkdir(parents=True)
    (root / "etc").chmod(0o755)
    settings = root / "etc" / "sifgate.yaml"
    settings.write_text(f"engine:\n  package_support: {tables}\n")
    settings.chmod(0o644)
    try:
        yield start(root, "--without", "agent")
    finally:
        stop(root)


def counted(engine: RunningEngine) -> dict[str, Any]:
    """Return what the server says of its feeds."""
    token = engine.token_file.read_text().strip()
    answer = requests.get(
        f"{engine.server_url}/v1/status",
        headers={"Authorization": f"Bearer {token}"},
        verify=str(engine.tls_cert),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return {**found["advisories"], "generation": found["generation"]}


def test_todays_scores_need_no_restart(renewed: RunningEngine) -> None:
    """A timer puts EPSS beside the settings: counted; a damaged one leaves it so; taken away, it is gone."""
    own = renewed.places.etc / "feeds"
    first = counted(renewed)
    assert (first["epss"], first["package_support"]) == (0, 1)
    put(own / "epss.csv", HEAD + "CVE-2099-1111,0.5,0.5\nCVE-2099-22222,0.25,0.5\n")
    eventually(lambda: counted(renewed)["epss"] == 2, 60)
    second = counted(renewed)["generation"]
    assert second["epss"] == "2026-01-02"
    put(own / "epss.csv", HEAD + "CVE-2099-1111,0.")
    log = renewed.layout.log("server")
    eventually(lambda: "epss.csv:3" in log.read_text(), 60)
    assert counted(renewed)["generation"]["id"] == second["id"]
    (own / "epss.csv").unlink()
    eventually(lambda: counted(renewed)["epss"] == 0, 60)
    last = counted(renewed)["generation"]
    assert (last["epss"], last["id"] != second["id"]) == ("", True)


def put(path: Path, content: str) -> None:
    """Put a file in place whole, as a timer should."""
    fresh = path.with_suffix(".new")
    fresh.write_text(content)
    shutil.move(fresh, path)
