# SPDX-License-Identifier: Apache-2.0
"""Keeps the parts running: starts them in order, restarts what dies, stops them all; one process, one thread.

A part that dies is started again, at once the first time and then with growing pauses; one that does not come up after
many tries is given up loudly (log, syslog, `sifgate status` exits 3) while the others go on. When the supervisor
itself is killed its parts go on without it, because a gate that works is better than none; the next `up` or `down`
finds them.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
import syslog
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import msgspec
import structlog
from filelock import FileLock, Timeout

from sifgate.config import Places
from sifgate.engine import accounts, halt, keys, layout, settings
from sifgate.engine.clairbuild import CLAIR_VERSION, verify
from sifgate.engine.feeds import Feeds
from sifgate.engine.loading import Loading
from sifgate.engine.parts import NAMES, Engine, Part, clair_url, part
from sifgate.engine.processes import free_port, is_free, last_words, spawn
from sifgate.engine.report import PartReport, Process, Report
from sifgate.errors import EngineError, SifgateError

TRIES = 10
"""Starts in a row that may fail before a part is given up."""
_STABLE = 60.0
_LONGEST_PAUSE = 30.0
_LOOK = 1.0
_BORN = 0.05
_CHANGES = {"mirror": "clair", "clair": "server", "server": "agent"}
"""Who must be told when a part's port changes."""


class Child:
    """A part and its process, if it has one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "starting"
        self.part: Part | None = None
        self.popen: subprocess.Popen[bytes] | None = None
        self.process: Process | None = None
        self.moved = False
        self.restarts = 0
        self.failures = 0
        self.started = 0.0
        self.again_at = 0.0
        self.detail = ""


class Supervisor:
    """The engine's parent process."""

    def __init__(self, engine: Engine, log: structlog.stdlib.BoundLogger) -> None:
        self._engine = engine
        builtin = engine.settings.advisories.source == "builtin"
        self._feeds = Feeds(engine.layout, engine.accounts.agent, builtin=builtin)
        self._log = log
        self._ports = {name: free_port() for name in ("mirror", "clair", "server")}
        self._children = [Child(name) for name in engine.names()]
        self._since = datetime.now(timezone.utc)
        self._phase, self._message, self._hint = "starting", "", ""
        self._loading = Loading(engine)
        self._stopping = False
        self._ears, self._mouth = socket.socketpair()
        self._told = b""

    def run(self) -> None:
        """Start everything, then watch until a signal says stop; then stop everything."""
        self._listen_to_signals()
        try:
            self._feeds.fill()
            for child in self._children:
                if not self._stopping:
                    self._first_start(child)
            self._phase = "loading"
            while not self._stopping:
                self._watch()
        except SifgateError as error:
            self._phase, self._message, self._hint = "failed", str(error), error.hint
            self._log.error("engine gives up", error=str(error), hint=error.hint)
            self._tell()
            raise
        finally:
            self._stop_all()

    def _listen_to_signals(self) -> None:
        for end in (self._ears, self._mouth):
            end.setblocking(False)
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, _note)  # no handler, no wake-up

    def _on_stop(self, number: int, frame: object) -> None:
        del number, frame
        self._stopping = True

    def _pause(self, seconds: float) -> None:
        """Sleep until a signal or the end of the time."""
        if select.select([self._ears], [], [], max(0.0, seconds))[0]:
            self._ears.recv(4096)

    def _first_start(self, child: Child) -> None:
        self._message = f"starting {child.name}"
        self._tell()
        self._start(child)
        while child.state == "starting" and not self._stopping:
            self._pause(_BORN)
            self._look_after(child)
            self._tell()
        if child.state != "up" and not self._stopping:
            raise EngineError(
                f"{child.name} does not start: {child.detail}",
                hint=f"its log: {self._engine.layout.log(child.name)}",
            )

    def _start(self, child: Child) -> None:
        """Start the process of a part on ports that are free."""
        port = self._ports.get(child.name)
        if port and not is_free(port):
            self._ports[child.name] = free_port()
            self._log.warning(
                "port taken by somebody else", part=child.name, port=port, instead=self._ports[child.name]
            )
        child.part = part(self._engine, child.name, self._ports)
        child.state, child.started = "starting", time.monotonic()
        child.popen = spawn(child.part, self._engine)
        child.process = Process.of(child.popen.pid)
        self._log.info("part starts", part=child.name, pid=child.popen.pid)
        child.moved = child.moved or port != self._ports.get(child.name)

    def _pass_on(self, name: str) -> None:
        """Let the one who uses a part know of its new port: by starting it anew, the agent by a signal."""
        for child in self._children:
            if child.name == _CHANGES.get(name) and child.popen and child.popen.poll() is None:
                child.popen.send_signal(signal.SIGHUP if child.name == "agent" else signal.SIGTERM)

    def _watch(self) -> None:
        """Look after every part once, then wait for the next event."""
        for child in self._children:
            self._look_after(child)
        if all(child.state == "up" for child in self._children):
            self._follow_loading()
            self._follow_feeds()
        self._tell()
        busy = any(child.state == "starting" for child in self._children)
        self._pause(_BORN if busy else _LOOK)

    def _follow_loading(self) -> None:
        self._loading.look(clair_url(self._engine, self._ports))
        failed = any(child.state == "failed" for child in self._children)
        self._phase = "failed" if failed else "up" if self._loading.done else "loading"
        self._message = "" if self._loading.done else self._loading.message

    def _follow_feeds(self) -> None:
        """Hand the server what the site renewed; what cannot be read leaves the state of before."""
        try:
            if self._feeds.follow():
                self._log.info("feeds renewed")
        except (SifgateError, OSError) as error:
            self._log.error("feeds not renewed", error=str(error))

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.state == "failed":
            return
        if child.state == "down":
            if now >= child.again_at:
                self._guarded_start(child)
            return
        if child.popen is None or child.popen.poll() is not None:
            self._died(child)
        elif child.state == "starting":
            self._is_it_ready(child, now)
        elif now - child.started > _STABLE:
            child.failures = 0

    def _guarded_start(self, child: Child) -> None:
        child.restarts += 1
        try:
            self._start(child)
        except (SifgateError, OSError) as error:
            self._count_failure(child, str(error))

    def _is_it_ready(self, child: Child, now: float) -> None:
        if child.part is None or child.popen is None:
            return
        if child.part.is_ready():
            if child.part.after:
                child.part.after()
            child.state, child.detail = "up", ""
            if child.moved:
                child.moved = False
                self._pass_on(child.name)
            self._log.info("part is up", part=child.name, seconds=round(now - child.started, 2))
        elif now - child.started > child.part.patience:
            child.popen.kill()
            child.popen.wait()
            self._count_failure(child, f"not ready after {child.part.patience:.0f} s")

    def _died(self, child: Child) -> None:
        code = child.popen.returncode if child.popen else None
        how = (
            f"killed by {signal.Signals(-code).name}"
            if code is not None and code < 0
            else f"ended with status {code}"
        )
        self._count_failure(child, f"{how}; {last_words(self._engine.layout.log(child.name))}")

    def _count_failure(self, child: Child, detail: str) -> None:
        child.process, child.popen, child.detail = None, None, detail
        child.failures += 1
        child.state = "down" if child.failures < TRIES else "failed"
        child.again_at = time.monotonic() + pause_after(child.failures)
        self._log.error(
            "part died", part=child.name, detail=detail, failures=child.failures, state=child.state
        )
        if child.state == "failed":
            self._phase, self._message = "failed", f"{child.name} was given up: {detail}"
            syslog.syslog(
                syslog.LOG_CRIT, f"sifgate: {child.name} does not come up after {TRIES} tries: {detail}"
            )

    def _stop_all(self) -> None:
        self._phase, self._message = ("failed" if self._phase == "failed" else "stopping"), self._message
        self._tell()
        self._loading.stop()
        for child in reversed(self._children):
            if child.part and child.process and child.popen:
                halt.stop(child.process, child.part.stop_signals)
                child.popen.wait()
                child.state, child.process = "down", None
                self._log.info("part stopped", part=child.name)
        if self._phase == "failed":
            self._tell()
        else:
            self._engine.layout.state_file.unlink(missing_ok=True)
        self._engine.layout.server_file.unlink(missing_ok=True)

    def _tell(self) -> None:
        """Write the report if it says something new."""
        parts = {name: PartReport("left out" if name in self._engine.without else "yours") for name in NAMES}
        if self._engine.settings.advisories.source != "builtin":
            parts["mirror"] = PartReport("left out")
        for child in self._children:
            address = f"127.0.0.1:{self._ports[child.name]}" if child.name in self._ports else ""
            parts[child.name] = PartReport(
                child.state, child.process, child.restarts, self._version(child.name), address, child.detail
            )
        report = Report(
            Process.of(os.getpid()), self._phase, self._message, self._since, self._engine.accounts.separate, parts,
            self._loading.loaded, clair_url(self._engine, self._ports),
            self._hint,
        )  # fmt: skip
        content = msgspec.json.encode(report)
        if content != self._told:
            keys.write(self._engine.layout.state_file, content, self._engine.accounts.agent, mode=0o644)
            self._told = content

    def _version(self, name: str) -> str:
        if name == "database":
            return f"PostgreSQL {self._loading.database_version}"
        return f"Clair {CLAIR_VERSION}" if name == "clair" else f"sifgate {metadata.version('sifgate')}"


def _note(number: int, frame: object) -> None:
    del number, frame


def pause_after(failures: int) -> float:
    """Return the seconds to wait before the next start: none, 1, 2, 4 … 30."""
    return 0.0 if failures <= 1 else min(_LONGEST_PAUSE, 2.0 ** (failures - 2))


def assemble(root: str, without: Sequence[str], directories: Sequence[Path]) -> Engine:
    """Return the engine that these arguments and `sifgate.yaml` describe; checks settings and what is left out."""
    unknown = sorted(set(without) - set(NAMES))
    if unknown:
        raise EngineError(f"--without {','.join(unknown)}: no such part", hint=f"parts: {', '.join(NAMES)}")
    places = Places.here(root)
    for directory in directories:
        if not directory.is_dir():
            raise EngineError(
                f"{directory}: not a directory of advisories", hint="see --advisories-dir in `sifgate up -h`"
            )
    return Engine(
        layout.Layout(places), accounts.of_this_process(), settings.load(places), frozenset(without),
        tuple(directory.absolute() for directory in directories), root,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the supervisor until it is told to stop."""
    parser = argparse.ArgumentParser(prog="sifgate-supervisor", description=__doc__)
    parser.add_argument("--root", default="")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--advisories-dir", action="append", type=Path, default=[])
    options = parser.parse_args(argv)
    structlog.configure(processors=[
        structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ])  # fmt: skip
    log = structlog.get_logger()
    try:
        return serve(assemble(options.root, options.without, options.advisories_dir), log)
    except SifgateError as error:
        log.critical("engine ends", error=str(error), hint=error.hint)
        return 1


def serve(engine: Engine, log: structlog.stdlib.BoundLogger) -> int:
    """Hold the lock, put directories and secrets in order, and run."""
    os.umask(0o022)
    layout.prepare(engine.layout, engine.accounts)
    try:
        with FileLock(engine.layout.lock, timeout=0, mode=0o600):
            for process, signals in halt.leftovers(engine.layout):
                log.warning("left behind by a supervisor that was killed", pid=process.pid)
                halt.stop(process, signals)
            keys.prepare(engine.layout, engine.accounts, datetime.now(timezone.utc))
            if "clair" in engine.names():
                verify(engine.layout.program)
            Supervisor(engine, log).run()
    except Timeout as error:
        raise EngineError("another supervisor holds the lock", hint="sifgate status") from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
