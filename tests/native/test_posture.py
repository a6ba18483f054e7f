# SPDX-License-Identifier: Apache-2.0
"""What the C client obeys when no agent answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.native
Read = Callable[[Path], dict[str, str]]
GOOD = "sifgate-posture 1\nagent_unreachable block\nscan_wait_ms 2500\ncontact security@site.example\n"


@pytest.fixture
def read(driver: Callable[..., str]) -> Read:
    """Return a function that reads a posture file as the plugin does."""
    return lambda path: dict(line.split("=", 1) for line in driver("posture", path).splitlines())


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "posture"
    path.write_text(text)
    path.chmod(0o644)
    return path


def test_the_file_counts(tmp_path: Path, read: Read) -> None:
    """Action, wait and contact are taken."""
    said = read(_file(tmp_path, GOOD))
    assert said == {"action": "block", "wait": "2500", "contact": "security@site.example", "problem": ""}


def test_later_keys_are_passed_over(tmp_path: Path, read: Read) -> None:
    """A newer agent may write more than this shim knows."""
    assert read(_file(tmp_path, GOOD + "later thing\n\n"))["problem"] == ""


def test_the_wait_is_capped(tmp_path: Path, read: Read) -> None:
    """Slurm bears 40 s in the callback that asks."""
    assert read(_file(tmp_path, GOOD.replace("2500", "90000")))["wait"] == "40000"


@pytest.mark.parametrize(
    "text",
    [
        *("", "sifgate-posture 2\nagent_unreachable block\n", "agent_unreachable block\n", "\0" * 100),
        *(
            GOOD.replace("block", "perhaps"),
            GOOD.replace("2500", "soon"),
            GOOD.replace("2500", "-1"),
            "x" * 10_000,
        ),
        *(GOOD.replace("2500", ""), GOOD + "novalue\n"),
    ],
)
def test_what_cannot_be_used_means_allow_and_is_said(tmp_path: Path, read: Read, text: str) -> None:
    """A damaged file never blocks and never passes in silence."""
    said = read(_file(tmp_path, text))
    assert (said["action"], said["wait"]) == ("allow", "10000")
    assert str(tmp_path) in said["problem"]


def test_a_missing_file_means_allow_and_is_said(tmp_path: Path, read: Read) -> None:
    """Nothing installed: allow, with the reason for syslog."""
    said = read(tmp_path / "none")
    assert said["action"] == "allow"
    assert "No such file" in said["problem"]


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_counts_for_nothing(tmp_path: Path, read: Read, mode: int) -> None:
    """Else any user could stop a node's launches."""
    path = _file(tmp_path, GOOD)
    path.chmod(mode)
    assert read(path)["action"] == "allow"


def test_a_directory_that_others_can_write_counts_for_nothing(tmp_path: Path, read: Read) -> None:
    """Who can rename a parent can replace the file."""
    (tmp_path / "open").mkdir()
    path = _file(tmp_path / "open", GOOD)
    (tmp_path / "open").chmod(0o777)
    assert read(path)["action"] == "allow"


def test_what_is_no_regular_file_counts_for_nothing(tmp_path: Path, read: Read) -> None:
    """A FIFO does not hang the launch, a directory does not confuse it."""
    os.mkfifo(tmp_path / "fifo")
    assert read(tmp_path / "fifo")["action"] == "allow"
    assert read(tmp_path)["action"] == "allow"


@pytest.mark.root
def test_a_file_of_another_user_counts_for_nothing(tmp_path: Path, read: Read) -> None:
    """Owner root, or who runs the shim; nobody else."""
    path = _file(tmp_path, GOOD)
    os.chown(path, 2001, 2001)
    assert read(path)["action"] == "allow"
