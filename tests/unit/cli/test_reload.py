# SPDX-License-Identifier: Apache-2.0
"""`sifgate reload` and a real agent: what is in force, what was kept, nobody there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_policy import GOOD


@pytest.fixture
def agent(root: Path, tmp_path: Path, sifgate: Run) -> Iterator[Path]:
    """Run an agent; return its policy file."""
    source = tmp_path / "policy.yaml"
    source.write_text(GOOD)
    assert sifgate("policy", "install", str(source)).code == 0
    command = [sys.executable, "-m", "sifgate.agent.main", "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "listening on" in process.stdout.readline()
        yield root / "etc/policy.yaml"
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_reload_says_what_is_in_force(agent: Path, sifgate: Run) -> None:
    """A changed file comes into force; a broken one leaves the last good policy, exit code 2."""
    before = json.loads(sifgate("reload", "--format", "json").out)
    agent.write_text(GOOD.replace("enforce", "warn"))
    after = sifgate("reload", "--format", "json")
    assert after.code == 0, after.err
    assert json.loads(after.out)["problem"] == ""
    assert json.loads(after.out)["policy"] != before["policy"]
    agent.write_text("mode: [")
    broken = sifgate("reload")
    assert broken.code == 2
    assert json.loads(after.out)["policy"] in broken.out
    assert "kept the last good policy" in broken.out


@pytest.mark.usefixtures("root")
def test_reload_without_an_agent(sifgate: Run) -> None:
    """Nobody listens: exit code 3, with what to do."""
    done = sifgate("reload")
    assert done.code == 3
    assert "hint" in done.err
