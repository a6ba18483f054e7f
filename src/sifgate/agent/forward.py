# SPDX-License-Identifier: Apache-2.0
"""Passes each record on to syslog or journald as it is written, beside the log; drops rather than holds anything up.

The log has every record; whoever needs all of them takes `sifgate audit export`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import msgspec

from sifgate.audit.export import journald, syslog
from sifgate.audit.record import AuditRecord, decode
from sifgate.errors import ConfigError

ROOM = 1000
"""Turns of the loop whose records may wait."""
DEVICE = "unix:/dev/log"


class Forwarder:
    """A thread of its own; `put` is for the loop."""

    def __init__(
        self,
        kinds: tuple[str, ...],
        disguise: Callable[[bytes], bytes],
        *,
        device: str = "",
        journal: str = journald.SOCKET,
    ) -> None:
        self.forwarded = 0
        """Records passed on since start, counted once for each place."""
        self.dropped = 0
        """Records that a place did not take."""
        self.problem = ""
        """Why the last one was not taken; empty: it was."""
        self._disguise = disguise
        self._ways = [_Way(kind, (device or DEVICE) if kind == "syslog" else journal) for kind in kinds]
        self._waiting: queue.Queue[bytes | None] = queue.Queue(ROOM)
        self._thread = threading.Thread(target=self._run, name="sifgate-forward", daemon=True)

    def start(self) -> None:
        """Begin, if there is anywhere to pass records to."""
        if self._ways:
            self._thread.start()

    def put(self, lines: bytes, count: int) -> None:
        """Take the lines of one turn; never waits."""
        if not self._ways:
            return
        try:
            self._waiting.put_nowait(lines)
        except queue.Full:
            self.dropped += count * len(self._ways)

    def stop(self) -> None:
        """Pass on what waits, for a moment, and end."""
        if not self._thread.is_alive():
            return
        try:
            self._waiting.put(None, timeout=1.0)
        except queue.Full:
            return
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while (lines := self._waiting.get()) is not None:
            for line in lines.splitlines(keepends=True):
                self._forward(line)
        for way in self._ways:
            way.close()

    def _forward(self, line: bytes) -> None:
        try:
            record = decode(self._disguise(line))
        except (ConfigError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.problem = str(error)
            self.dropped += len(self._ways)
            return
        for way in self._ways:
            self.problem = way.send(record)
            if self.problem:
                self.dropped += 1
            else:
                self.forwarded += 1


class _Way:
    """One place, connected when it is needed and anew after it went away."""

    def __init__(self, kind: str, where: str) -> None:
        self._kind = kind
        self._where = where
        self._target: syslog.Target | journald.Journal | None = None

    def send(self, record: AuditRecord) -> str:
        """Send one record; return what went wrong, empty: nothing."""
        content = syslog.message(record) if self._kind == "syslog" else journald.entry(record)
        try:
            try:
                self._connected().send(content)
            except OSError:  # restarted meanwhile: once more, to the new one
                self.close()
                self._connected().send(content)
        except (ConfigError, OSError) as error:
            self.close()
            return f"{self._kind}: {error}"
        return ""

    def _connected(self) -> syslog.Target | journald.Journal:
        if self._target is None:
            made = syslog.Target if self._kind == "syslog" else journald.Journal
            self._target = made(self._where)
        return self._target

    def close(self) -> None:
        """Let go of the connection."""
        target, self._target = self._target, None
        if target is not None:
            target.close()
