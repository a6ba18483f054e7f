# SPDX-License-Identifier: Apache-2.0
"""A guard on a tmpfs of its own, in a mount namespace of its own, with an agent that does what a test says.

Nothing else of the machine is marked: `tree` is the root of a process that holds the namespace.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psutil
from testbed.cluster.scripted import ScriptedAgent, Step

from sifgate import wire

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

ALICE, BOB = 2001, 2002
DEADLINE = 2.5
"""Seconds that no opener may wait longer; the watchdog's second is among them."""
SLACK = 1.5
"""Seconds for two busy cores, and for the processes around the open."""
IMAGE = b"hsqs" + bytes(4092)
PLAIN = b"#!/bin/sh\nexit 0\n" + bytes(4000)
Script = Sequence[Step] | Callable[[wire.Message], Sequence[Step]]


class GuardStage:
    """Use it as a context manager; `place` is the marked directory, as the tests and the users name it."""

    def __init__(self, program: Path, work: Path, script: Script, *, settings: Sequence[str] = ()) -> None:
        self.program = program
        self.work = work
        self.place = work / "marked"
        self.agent = ScriptedAgent(work / "agent.sock", script)
        self.settings = list(settings)
        self.log = work / "guard.log"
        self.state = work / "guard.state"
        self.posture = work / "posture"

    def __enter__(self) -> Self:
        self.work.chmod(0o755)
        for parent in self.work.parents[:2]:  # pytest keeps them to itself
            parent.chmod(0o755)
        self.place.mkdir()
        mount = f"mount -t tmpfs -o mode=1777 tmpfs {self.place} && echo mounted && cat"
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount]
        self.holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "mounted\n"
        self.tree = Path(f"/proc/{self.holder.pid}/root")
        self.seen = Path(f"{self.tree}{self.place}")
        self.agent.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if hasattr(self, "guard"):
            self.guard.terminate()
            self.guard.wait(10)
        self.agent.__exit__(kind, error, trace)
        assert self.holder.stdin is not None
        assert self.holder.stdout is not None
        self.holder.stdin.close()
        self.holder.wait(10)
        self.holder.stdout.close()

    def start(self, *flags: str, prefix: Sequence[str] = ()) -> None:
        """Start the guard and wait until everything is marked."""
        ours = [
            *(
                f"tree {self.tree}",
                f"socket {self.agent.path}",
                f"state {self.state}",
                f"posture {self.posture}",
            ),
            *("deadline_ms 2500", "watchdog_ms 1000", "askers 4", "forget targets", *self.settings),
        ]
        words = [part for line in ours for part in ("--set", line)]
        with self.log.open("ab") as log:
            self.guard = subprocess.Popen([*prefix, self.program, *words, *flags], stderr=log)
        self.wait(lambda: self.said("ready: "), 10)

    def said(self, text: str) -> int:
        """Return how often the guard's log holds `text`."""
        return self.log.read_text().count(text)

    def wait(self, condition: Callable[[], object], limit: float = 20.0) -> None:
        """Wait for a condition; fail with the log otherwise."""
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, self.log.read_text() if self.log.exists() else "no log"
            time.sleep(0.02)

    def put(self, name: str, content: bytes) -> Path:
        """Write a file of alice's; returns its path as users name it. Only root's opens are needed for that."""
        (self.seen / name).write_bytes(content)
        os.chown(self.seen / name, ALICE, ALICE)
        return self.place / name

    def inside(self, uid: int, *words: str | Path) -> list[str]:
        """Return the command line that runs `words` as that user in the namespace."""
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", *become, *map(str, words)]

    def run(
        self, uid: int, *words: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run something as that user in the namespace."""
        whole = {**os.environ, **(env or {})}
        return subprocess.run(
            self.inside(uid, *words), env=whole, capture_output=True, text=True, timeout=30, check=False
        )

    def opens(self, path: Path, uid: int = ALICE) -> bool:
        """Return whether that user could open the file, by a shell's own means."""
        return self.run(uid, "sh", "-c", f": < {path}").returncode == 0

    def timed(self, path: Path, uid: int = ALICE) -> tuple[bool, float]:
        """Return whether it was opened, and after how many seconds."""
        began = time.monotonic()
        return self.opens(path, uid), time.monotonic() - began

    def opening(self, path: Path, uid: int = ALICE) -> Opening:
        """Start opening the file; the answer comes later."""
        return Opening(lambda: self.timed(path, uid))

    def crew(self, name: str) -> list[psutil.Process]:
        """Return the guard's processes of that name: guard-asker, guard-responder, guard-scout."""
        children = psutil.Process(self.guard.pid).children(recursive=True)
        return [process for process in children if process.name() == name]

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to each process of that name."""
        for process in self.crew(name):
            process.send_signal(number)


class Opening:
    """An open that is under way."""

    def __init__(self, work: Callable[[], tuple[bool, float]]) -> None:
        self.result: tuple[bool, float] | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.result = self._work()

    def wait(self) -> tuple[bool, float]:
        """Return whether it was opened, and after how many seconds."""
        self._thread.join(20)
        assert self.result is not None, "an opener waits for ever"
        return self.result
