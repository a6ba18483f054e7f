# SPDX-License-Identifier: Apache-2.0
"""The guards around every test: network, leftovers, needs; each tried in a pytest session of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from testbed.leftovers import abandoned
from testbed.poison import PoisonedNetwork, is_here

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ("-p", "testbed.leftovers", "-p", "testbed.poison", "-p", "testbed.needs", "-p", "no:cacheprovider")


def session(tmp_path: Path, text: str) -> str:
    """Run the text as a test file of another session; return its output."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    root: x\n")
    (tmp_path / "test_it.py").write_text(text)
    words = [
        sys.executable,
        "-m",
        "pytest",
        *PLUGINS,
        "-c",
        str(tmp_path / "pytest.ini"),
        "-ra",
        str(tmp_path),
    ]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "sifgate.example"])
def test_reaching_out_is_refused(host: str, poisoned_network: list[str]) -> None:
    """A connection to another machine raises before a packet leaves, and names this file."""
    with pytest.raises(PoisonedNetwork, match=r"test_guards\.py:\d+"):
        socket.create_connection((host, 80), timeout=1)
    assert poisoned_network
    poisoned_network.clear()


def test_loopback_is_open() -> None:
    """Real sockets on this machine work."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()[:2]):
        pass


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_hosts_are_told_apart(host: str, here: bool) -> None:  # noqa: FBT001 - a column of the table
    """Only loopback counts as here; nobody is asked for a name."""
    assert is_here(host) is here


def test_swallowed_refusal_still_fails_the_test(tmp_path: Path) -> None:
    """Code that catches every error cannot hide that it reached out."""
    body = "    try: socket.create_connection(('192.0.2.1', 9))\n    except Exception: pass\n"
    text = f"import socket\ndef test_x():\n{body}"
    output = session(tmp_path, text)
    assert "1 passed, 1 error" in output
    assert "to 192.0.2.1 from" in output


def test_process_left_behind_fails_the_session(tmp_path: Path) -> None:
    """A daemon that left the process tree is found by the mark in its environment, and named."""
    text = (
        "import subprocess, testbed.leftovers\ntestbed.leftovers.GRACE = 0\n"
        f"def test_x():\n    subprocess.run(['sh', '-c', 'sleep 77 >/dev/null 2>&1 & echo $! > {tmp_path}/pid'])\n"
    )
    output = session(tmp_path, text)
    pid = int((tmp_path / "pid").read_text())
    subprocess.run(["kill", str(pid)], check=True)
    assert f"process {pid}: sleep 77" in output
    assert "1 passed, 1 error" in output


def test_file_left_behind_fails_the_session(tmp_path: Path) -> None:
    """What a test leaves in the temporary directory is named."""
    output = session(tmp_path, "import tempfile\ndef test_x():\n    tempfile.mkdtemp(prefix='forgotten')\n")
    assert "left behind by the tests" in output
    assert "forgotten" in output


def test_clean_session_passes(tmp_path: Path) -> None:
    """A session that leaves nothing passes, and its temporary directory is gone."""
    output = session(tmp_path, "def test_x(tmp_path):\n    print('AT', tmp_path); (tmp_path / 'f').touch()\n")
    assert "1 passed" in output


def test_unmet_need_skips_with_its_reason(tmp_path: Path) -> None:
    """A test that needs root is skipped for others, saying so."""
    text = (
        "import pytest, testbed.needs as needs\nneeds.NEEDS['root'] = lambda: 'needs root'\n"
        "@pytest.mark.root\ndef test_x(): raise SystemExit(9)\n"
    )
    assert "root: needs root" in session(tmp_path, text)


def test_old_failures_are_not_kept_for_ever(tmp_path: Path) -> None:
    """Directories of ended sessions are found, newest first; those of running ones and of others are not."""
    process = subprocess.Popen(["true"])
    process.wait()
    names = [f"sifgate-test-{process.pid}-{letter}" for letter in "abc"]
    for age, name in enumerate([*names, f"sifgate-test-{os.getpid()}-d", "sifgate-test-x"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (age, age))
    assert [path.name for path in abandoned(tmp_path)] == names[::-1]


def test_programs_that_tests_start_can_be_interrupted() -> None:
    """However the session was started, a program started by a test ends on an interrupt."""
    process = subprocess.Popen(["sleep", "60"])
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT
