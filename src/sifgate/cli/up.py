# SPDX-License-Identifier: Apache-2.0
"""`sifgate up`: start engine, server and agent on this machine, and wait until advisories are loaded."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sifgate.config import Places
from sifgate.engine import halt, processes, report, supervisor
from sifgate.engine import layout as files
from sifgate.engine.clairbuild import ensure_clair, install
from sifgate.engine.layout import Layout
from sifgate.engine.parts import Engine
from sifgate.engine.progress import Progress
from sifgate.errors import EngineError

_START_SECONDS = 180.0
_LOAD_SECONDS = 3600.0
_LOOK = 0.1


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's parser."""
    parser = subparsers.add_parser(
        "up", help="start engine, server and agent on this machine", description=__doc__
    )
    parser.add_argument("--without", default="", metavar="PART,…",
                        help="leave parts out: database, mirror, clair, server, agent")  # fmt: skip
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the advisories are loaded")
    parser.add_argument(
        "--foreground", action="store_true", help="stay, and stop everything at SIGTERM (for systemd)"
    )
    parser.add_argument("--advisories-dir", type=Path, action="append", default=[], metavar="DIR",
                        help="further advisories for the builtin mirror (alpine/, rhel-vex/, nvd/)")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=None, metavar="DIR",
                        help="where Clair is built (default: SIFGATE_CACHE, else sifgate's own cache)")  # fmt: skip


def run(arguments: argparse.Namespace, places: Places) -> int:
    """Start everything; return 0 when it is up (or was before)."""
    without = [word for word in arguments.without.split(",") if word]
    running = report.alive(places.run / "engine.json")
    if running and running.phase not in {"stopping", "failed"}:
        return _already(running, places, wait=not arguments.no_wait)
    if running:
        halt.down(Layout(places))
    os.umask(0o022)
    engine = supervisor.assemble(arguments.root, without, arguments.advisories_dir)
    for name in engine.accounts.made:
        print(f"sifgate: made the system user {name}", file=sys.stderr)
    files.prepare(engine.layout, engine.accounts)
    with _alone(engine.layout):
        if "clair" in engine.names():
            with _shown() as progress:
                _install(engine, _cache(arguments.cache, places), progress)
        if arguments.foreground:
            os.execv(sys.executable, _command(arguments, without))  # noqa: S606 - our own interpreter
        process = _detach(_command(arguments, without), engine)
        return _wait(engine.layout, process, wait=not arguments.no_wait)


def _install(engine: Engine, cache: Path, progress: Progress) -> None:
    """Build what is needed of Clair, and put it where its uid can reach it."""
    programs = ["clair", "clairctl"] if engine.settings.advisories.source == "bundle" else ["clair"]
    for program in programs:
        built = ensure_clair(cache, program=program, progress=progress)
        install(built, engine.layout.program.with_name(program))


def _already(running: report.Report, places: Places, *, wait: bool) -> int:
    print(f"sifgate: is up already (since {running.since:%Y-%m-%d %H:%M:%S} UTC)")
    if running.phase == "up" or not wait:
        return 0
    return _wait(Layout(places), None, wait=True)


def _cache(chosen: Path | None, places: Places) -> Path:
    if chosen:
        return chosen
    variable = os.environ.get("SIFGATE_CACHE", "")
    return Path(variable) if variable else places.cache


def _command(arguments: argparse.Namespace, without: Sequence[str]) -> list[str]:
    root = str(Path(arguments.root).resolve()) if arguments.root else ""
    command = [sys.executable, "-I", "-m", "sifgate.engine.supervisor", "--root", root]
    for name in without:
        command += ["--without", name]
    for directory in arguments.advisories_dir:
        command += ["--advisories-dir", str(directory.absolute())]
    return command


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Let only one `sifgate up` at a time start things."""
    try:
        with FileLock(layout.places.run / "up.lock", timeout=_START_SECONDS, mode=0o600):
            yield
    except Timeout as error:
        raise EngineError("another `sifgate up` does not come to an end", hint="sifgate status") from error


def _detach(command: Sequence[str], engine: Engine) -> subprocess.Popen[bytes]:
    log = engine.layout.log("engine")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def _wait(layout: Layout, process: subprocess.Popen[bytes] | None, *, wait: bool) -> int:
    """Follow the report until everything is up."""
    with _shown() as progress:
        found = _until(
            layout, process, lambda state: state.phase in {"loading", "up"}, _START_SECONDS, progress
        )
        if wait and found.phase != "up":
            found = _until(layout, process, lambda state: state.phase == "up", _LOAD_SECONDS, progress)
    _summarise(found, wait=wait)
    return 0


def _until(
    layout: Layout, process: subprocess.Popen[bytes] | None, reached: Callable[[report.Report], bool], seconds: float,
    progress: Progress,
) -> report.Report:  # fmt: skip
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = report.alive(layout.state_file)
        if found and found.phase == "failed":
            raise EngineError(found.message, hint=found.hint or f"logs: {layout.places.log}")
        if found and reached(found):
            return found
        ended = process.poll() is not None if process else found is None
        if ended:
            last = report.read(layout.state_file)
            logs = f"logs: {layout.places.log}"
            if last and last.phase == "failed":
                raise EngineError(last.message, hint=last.hint or logs)
            words = processes.last_words(layout.log("engine"))
            raise EngineError(f"the engine does not start: {words}", hint=logs)
        if found:
            up = sum(part.state == "up" for part in found.parts.values())
            parts = sum(part.state in {"up", "starting", "down"} for part in found.parts.values())
            progress(found.message or found.phase, up, 0 if found.phase == "loading" else parts)
        time.sleep(_LOOK)
    raise EngineError(
        f"not up after {seconds:.0f} s", hint=f"it goes on: sifgate status; logs: {layout.places.log}"
    )


def _summarise(found: report.Report, *, wait: bool) -> None:
    if not found.enforcing:
        print("sifgate: started by a user, not by root: it judges, but it enforces nothing", file=sys.stderr)
    if found.phase == "loading" and not wait:
        print("sifgate: is up; advisories are still being loaded in the background (sifgate status)")
        return
    rows = sum(loaded.count for loaded in found.advisories)
    print(f"sifgate: is up, {rows:,} advisories from {len(found.advisories)} sources")


@contextmanager
def _shown() -> Iterator[Progress]:
    """Show progress as a bar on a terminal, as a line per change of step otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        said: list[str] = []

        def say(what: str, done: int, total: int) -> None:
            del done, total
            if what not in said[-1:]:
                said.append(what)
                print(f"sifgate: {what}", file=sys.stderr)

        yield say
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def draw(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total or None)

        yield draw
