# SPDX-License-Identifier: Apache-2.0
"""An ordinary user runs the whole gate for himself: it judges, enforces nothing, and says so."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from testbed.cache import cache_root
from tests.integration.conftest import new_root, user

from sifgate.config import Places
from sifgate.engine import halt
from sifgate.engine.clairbuild import ensure_clair
from sifgate.engine.layout import Layout

pytestmark = [pytest.mark.engine, pytest.mark.root]
UID = 65534  # nobody: PostgreSQL wants a name for whoever starts it
MAIN = "import sys; from sifgate.cli.main import main; sys.exit(main())"


@pytest.fixture
def home() -> Iterator[Path]:
    """A user's home directory, with the built Clair in a cache that he owns."""
    place = new_root()
    built = ensure_clair(cache_root())
    cached = place / "cache" / "clair" / built.parent.name
    cached.mkdir(parents=True)
    for file in (built, built.with_name("clair.sha256")):
        shutil.copy(file, cached)
    for directory, _, names in os.walk(place):
        for name in [".", *names]:
            os.chown(Path(directory) / name, UID, UID)
    yield place
    halt.down(Layout(Places.of_user({}, place)))
    shutil.rmtree(place)


def test_user_runs_a_gate_of_his_own(home: Path) -> None:
    """Up, status and down as a user: places below his home, all parts his own, `enforcing` false and told."""
    environment = {"HOME": str(home), "SIFGATE_CACHE": str(home / "cache")}
    up = user([MAIN, "up"], UID, **environment)
    assert up.returncode == 0, up.stderr
    assert "it enforces nothing" in up.stderr
    status = user([MAIN, "status", "--format", "json"], UID, **environment)
    told = json.loads(status.stdout)
    assert (status.returncode, told["up"], told["enforcing"]) == (0, True, False)
    assert {psutil.Process(part["pid"]).uids().real for part in told["parts"] if part["pid"]} == {UID}
    assert (home / ".local/state/sifgate").stat().st_mode & 0o777 == 0o700
    assert "it enforces nothing" in user([MAIN, "status"], UID, **environment).stdout
    down = user([MAIN, "down"], UID, **environment)
    assert down.stdout == "sifgate: stopped\n"
    assert not halt.leftovers(Layout(Places.of_user({}, home)))


def test_user_without_a_name(home: Path) -> None:
    """A uid that is in no user database is told why PostgreSQL cannot serve it."""
    done = user([MAIN, "--root", str(home / "x"), "up"], 61234)
    assert done.returncode == 3
    assert "has no name in the user database" in done.stderr
