# SPDX-License-Identifier: Apache-2.0
"""Ending processes: by their signals, with their children, and never somebody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from sifgate.config import Places
from sifgate.engine import halt, processes, report, supervisor
from sifgate.engine.layout import Layout
from sifgate.engine.parts import MARK
from sifgate.engine.report import Process

STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""
FAMILY = """
import signal, subprocess
subprocess.Popen(["sleep", "300"])
print("ready", flush=True)
signal.pause()
"""


def _start(code: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_stubborn_process() -> None:
    """A process that ignores SIGTERM gets SIGKILL."""
    with _start(STUBBORN) as child:
        process = Process.of(child.pid)
        halt.stop(process, (signal.SIGTERM,), patience=0.2)
        assert process.find() is not None
        halt.stop(process, (signal.SIGTERM, signal.SIGKILL), patience=0.2)
        assert process.find() is None


def test_children_go_too() -> None:
    """What a part has started does not outlive it."""
    with _start(FAMILY) as child:
        grandchild = psutil.Process(child.pid).children()[0]
        halt.stop(Process.of(child.pid), (signal.SIGTERM, signal.SIGKILL))
        child.wait(timeout=10)
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_reused_pid_is_left_alone() -> None:
    """A process with the pid but another start is somebody else's."""
    with _start(STUBBORN) as child:
        halt.stop(Process(child.pid, psutil.Process(child.pid).create_time() - 100), (signal.SIGKILL,))
        assert child.poll() is None
        child.kill()


def test_what_the_report_missed_is_found_by_its_mark(short: Path) -> None:
    """A part started just before the supervisor was killed is in no report; `down` finds it nevertheless."""
    layout = Layout(Places.under(short))
    with _start(STUBBORN, {MARK: str(layout.places.run)}) as child:
        assert [process.pid for process, _ in halt.leftovers(layout)] == [child.pid]
        child.kill()


def test_down_where_nothing_runs(short: Path) -> None:
    """`down` without an engine does nothing and says so; a half-written report does not stop it."""
    layout = Layout(Places.under(short))
    layout.places.run.mkdir()
    assert halt.down(layout) is False
    layout.state_file.write_text('{"supervisor": {"pid": 1')
    assert halt.down(layout) is False
    assert not layout.state_file.exists()


def test_half_written_report(short: Path) -> None:
    """A cut-off report counts as none."""
    file = short / "engine.json"
    file.write_text('{"phase": "up"')
    assert report.read(file) is None


def test_pauses_grow() -> None:
    """The first restart comes at once, later ones wait longer, at most half a minute."""
    assert [supervisor.pause_after(count) for count in (1, 2, 3, 4, 9)] == [0.0, 1.0, 2.0, 4.0, 30.0]


def test_taken_port_is_seen() -> None:
    """A port on which somebody listens is not free."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not processes.is_free(listener.getsockname()[1])
    assert processes.is_free(processes.free_port())


def test_last_words(short: Path) -> None:
    """Of a log the last line is quoted; a missing log says nothing."""
    log = short / "part.log"
    log.write_bytes(b"Traceback\n  line\nError: \xff broken\n\n")
    assert processes.last_words(log) == "Error: � broken"
    assert processes.last_words(short / "none") == ""
