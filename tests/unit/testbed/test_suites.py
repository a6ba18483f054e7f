# SPDX-License-Identifier: Apache-2.0
"""Both halves of `make test` run, are shown, and count."""

from __future__ import annotations

from pathlib import Path

import pytest
from testbed.suites import run_suites


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with one quick and one patient test, as the current directory."""
    for directory, text in (("unit", "def test_quick(): pass\n"), ("cluster", "def test_patient(): pass\n")):
        (tmp_path / "tests" / directory).mkdir(parents=True)
        (tmp_path / "tests" / directory / f"test_{directory}.py").write_text(text)
    (tmp_path / "tests/data").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_halves_are_shown_and_added_up(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Directories without tests are left out; the last line counts both."""
    assert run_suites(["-q"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert sum("1 passed" in line for line in lines) == 2
    assert lines[-1] == "2 passed, 0 failed, 0 skipped"


@pytest.mark.parametrize("half", ["unit", "cluster"])
def test_a_failure_in_either_half_fails_the_whole(
    project: Path, capfd: pytest.CaptureFixture[str], half: str
) -> None:
    """Neither half can hide what failed in it."""
    (project / f"tests/{half}/test_broken.py").write_text("def test_broken(): assert False\n")
    assert run_suites([]) == pytest.ExitCode.TESTS_FAILED
    assert capfd.readouterr().out.splitlines()[-1] == "2 passed, 1 failed, 0 skipped"


def test_a_half_that_cannot_be_collected_fails_the_whole(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An import error is no success."""
    (project / "tests/unit/test_unit.py").write_text("import nothing_of_this_name\n")
    assert run_suites([]) != 0
    assert "1 failed" in capfd.readouterr().out.splitlines()[-1]
