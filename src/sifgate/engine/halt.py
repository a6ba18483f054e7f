# SPDX-License-Identifier: Apache-2.0
"""Stopping: one part by its signals, and whatever a killed supervisor has left behind."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil

from sifgate.engine.layout import Layout
from sifgate.engine.parts import MARK, NAMES
from sifgate.engine.progress import Progress, silent
from sifgate.engine.report import Process, read
from sifgate.errors import EngineError

SECONDS_PER_SIGNAL = 15.0
_DATABASE = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)  # fast, immediate, and only then the hard way
_OTHERS = (signal.SIGTERM, signal.SIGKILL)


def stop(
    process: Process, signals: Sequence[signal.Signals], *, patience: float = SECONDS_PER_SIGNAL
) -> None:
    """End a process with its children: one signal after the other, until it is gone."""
    found = process.find()
    if found is None:
        return
    try:
        family = found.children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    for number in signals:
        if _gone_after(found, number, patience):
            break
    for orphan in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()
    psutil.wait_procs(family, timeout=SECONDS_PER_SIGNAL)


def _gone_after(process: psutil.Process, number: signal.Signals, patience: float) -> bool:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return True
    gone, _ = psutil.wait_procs([process], timeout=patience)
    return bool(gone) or not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def down(layout: Layout, progress: Progress = silent) -> bool:
    """Stop everything of this engine, supervised or not; return whether anything ran.

    Raises `EngineError` if something stays.
    """
    report = read(layout.state_file)
    ran = False
    if report and report.supervisor.find():
        progress("stopping", 0, 0)
        ran = True
        _stop_supervisor(report.supervisor)
    left = leftovers(layout)
    for process, signals in left:
        stop(process, signals)
    rest = leftovers(layout)
    if rest:
        pids = ", ".join(str(process.pid) for process, _ in rest)
        raise EngineError(f"processes that do not end: {pids}", hint=f"look at them: ps -fp {pids}")
    for file in (layout.state_file, layout.server_file):
        file.unlink(missing_ok=True)
    return ran or bool(left)


def _stop_supervisor(supervisor: Process) -> None:
    found = supervisor.find()
    if found is None:
        return
    found.terminate()
    gone, _ = psutil.wait_procs([found], timeout=4 * SECONDS_PER_SIGNAL)
    if not gone and supervisor.find():
        found.kill()
        psutil.wait_procs([found], timeout=SECONDS_PER_SIGNAL)


def leftovers(layout: Layout) -> list[tuple[Process, Sequence[signal.Signals]]]:
    """Return processes of this engine that still run, in the order in which they should be stopped."""
    report = read(layout.state_file)
    found: dict[int, tuple[int, Process, Sequence[signal.Signals]]] = {}
    for name, part in (report.parts if report else {}).items():
        if part.process and part.process.find():
            rank = NAMES.index(name) if name in NAMES else len(NAMES)
            found[part.process.pid] = (rank, part.process, _DATABASE if name == "database" else _OTHERS)
    for pid in _marked(layout.places.run):
        process = _identity(pid)
        if process:
            found.setdefault(pid, (len(NAMES), process, _OTHERS))
    postmaster = _postmaster(layout.database / "data" / "postmaster.pid", layout.database / "data")
    if postmaster:
        found[postmaster.pid] = (0, postmaster, _DATABASE)
    return [(process, signals) for _, process, signals in sorted(found.values(), key=lambda row: -row[0])]


def _marked(run: Path) -> list[int]:
    """Return pids of processes that were started as parts of the engine in `run` (what the report missed)."""
    pids = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(run) and process.status() != psutil.STATUS_ZOMBIE:
                pids.append(process.pid)
        except psutil.Error:
            continue
    return pids


def _postmaster(file: Path, data: Path) -> Process | None:
    """Return the server process that PostgreSQL recorded (it overwrites the environment that has our mark)."""
    try:
        lines = file.read_text().splitlines()
        process = Process.of(int(lines[0]))
        words = psutil.Process(process.pid).cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return process if str(data) in words else None


def _identity(pid: int) -> Process | None:
    try:
        return Process.of(pid)
    except psutil.Error:
        return None
