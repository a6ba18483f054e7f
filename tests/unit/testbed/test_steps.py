# SPDX-License-Identifier: Apache-2.0
"""Long steps say what they do; a foreign program's last words are not lost; nothing stops at the first failure."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from testbed import prepare
from testbed.errors import NeedsRoot, TestbedError
from testbed.headers import header_version, obtain_headers
from testbed.rootfs import obtain_tree
from testbed.steps import run, step


def test_step_says_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal a step is two lines on stderr: what it is and usually takes, what it took."""
    with step("stirring", 3):
        pass
    first, last = capsys.readouterr().err.splitlines()
    assert first == "testbed: stirring (about 3 s) …"
    assert last.startswith("testbed: stirring: 0.")


def test_step_has_a_bar_on_a_terminal() -> None:
    """On a terminal a running step is a bar that vanishes at its end."""
    code = "import time\nfrom testbed.steps import step\nwith step('stirring', 1):\n    time.sleep(0.7)\n"
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=slave, env=os.environ | {"TERM": "xterm"})
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # the other side has ended
        pass
    os.close(master)
    assert process.wait(timeout=30) == 0
    assert "━" in shown.decode()
    assert b"testbed: stirring: 0." in shown.splitlines()[-1]


def test_failed_program_is_quoted(tmp_path: Path) -> None:
    """The error of a failed program ends with what the program said last."""
    with pytest.raises(TestbedError, match=r"sh ended with 3(.|\n)*broken pot"):
        run(["sh", "-c", "echo start; echo broken pot >&2; exit 3"], tmp_path / "log")


def test_one_failure_does_not_stop_the_rest() -> None:
    """What cannot be built here is told at the end; the other things are built."""
    built = []

    def refuse() -> None:
        raise NeedsRoot("only by root")

    failed = prepare._all([("a", refuse), ("b", lambda: built.append("b"))])
    assert failed == ["a: only by root"]
    assert built == ["b"]


def test_unknown_names_are_refused() -> None:
    """Names that nobody knows are answered with those that exist."""
    with pytest.raises(TestbedError, match="bullseye-sci"):
        obtain_tree("jessie")
    with pytest.raises(TestbedError, match=r"24\.11"):
        obtain_headers("20.02")


def test_headers_state_their_series(tmp_path: Path) -> None:
    """The series is read from Slurm's own version header; a header without it is an error."""
    header = tmp_path / "slurm" / "slurm_version.h"
    header.parent.mkdir()
    header.write_text("#define SLURM_VERSION_NUMBER 0x180b05\n")
    assert header_version(tmp_path) == "24.11"
    header.write_text("")
    with pytest.raises(TestbedError, match="SLURM_VERSION_NUMBER"):
        header_version(tmp_path)


def test_trees_are_for_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who is not root is told so before anything is fetched."""
    monkeypatch.setenv("SIFGATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("testbed.cache._check_owner", lambda _: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NeedsRoot, match="node"):
        obtain_tree("node")
