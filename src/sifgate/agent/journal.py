# SPDX-License-Identifier: Apache-2.0
"""Records first, replies after: one write per turn of the loop, one sync for all refusals that wait for it.

No reply leaves before its record is in the file; no refusal before the file is on the disk. Where that fails, each
reply is made anew under the policy's `audit_unwritable`, and an alarm goes to syslog.
"""

from __future__ import annotations

import syslog
import time
from collections.abc import Callable
from typing import NamedTuple

from sifgate.agent.loop import Loop
from sifgate.audit.log import AuditLog
from sifgate.errors import AuditError

ALARM_EVERY = 60.0
"""Seconds between two alarms about the same trouble."""
ANCHOR_EVERY = 10.0
"""Seconds between two notes, beside the log, of how far its chain is."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether the log was rotated."""


class Entry(NamedTuple):
    """One reply that waits for its records."""

    lines: bytes
    """One line of JSON or more."""
    records: int
    durable: bool
    """Whether the reply waits for the disk: it refuses."""
    send: Callable[[], None]
    unwritable: Callable[[], None]
    """Called in place of `send` where the records could not be written or made durable."""


class Journal:
    """Used from the loop only; `flush` is its `turn_end`."""

    def __init__(self, log: AuditLog, loop: Loop) -> None:
        self.log = log
        self._loop = loop
        self._entries: list[Entry] = []
        self._unsynced: list[Entry] = []
        self._syncing = False
        self._next_look = 0.0
        self._next_alarm = 0.0
        self._next_anchor = 0.0
        self._broken = 0
        self.rotated: Callable[[], None] = _nothing
        """Called when a new file was begun."""
        self.forward: Callable[[bytes, int], None] = _nowhere
        """Takes the lines of each turn once they are in the file, and never waits."""

    def add(self, entry: Entry) -> None:
        """Queue one reply with its records."""
        self._entries.append(entry)

    def note(self, line: bytes) -> None:
        """Queue a record that nobody waits for."""
        self._entries.append(Entry(line, 1, False, _nothing, _nothing))

    def flush(self) -> None:
        """Write what is queued, and let go what need not wait for the disk."""
        if not self._entries:
            return
        entries, self._entries = self._entries, []
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            if self.log.reopen_if_rotated():
                self.rotated()
        if now >= self._next_anchor:
            self._next_anchor = now + ANCHOR_EVERY
            self._loop.offload(self.log.anchor, quick=True)
        lines, count = b"".join([entry.lines for entry in entries]), sum(entry.records for entry in entries)
        try:
            self.log.append(lines, count)
        except AuditError as error:
            self._alarm(entries, error)
            return
        self.forward(lines, count)
        self._look_at_chain()
        for entry in entries:
            if entry.durable:
                self._unsynced.append(entry)
            else:
                entry.send()
        self._sync()

    def _sync(self) -> None:
        if self._syncing or not self._unsynced:
            return
        self._syncing = True
        waiting, self._unsynced = self._unsynced, []
        promise = self._loop.offload(self.log.sync, quick=True)

        def over() -> None:
            self._syncing = False
            try:
                promise.result()
            except AuditError as error:
                self._alarm(waiting, error)
            else:
                for entry in waiting:
                    entry.send()
            self._sync()

        promise.waiter = over

    def _look_at_chain(self) -> None:
        """Raise an alarm where something has happened to the log; the chain itself has recorded it."""
        chain = self.log.chain
        if chain is not None and chain.discontinuities != self._broken:
            self._broken = chain.discontinuities
            text = f"sifgate: {self.log.path}: something has happened to the audit log: see `sifgate audit verify`"
            syslog.syslog(syslog.LOG_ALERT | syslog.LOG_AUTHPRIV, text)

    def _alarm(self, entries: list[Entry], error: AuditError) -> None:
        now = time.monotonic()
        if now >= self._next_alarm:
            self._next_alarm = now + ALARM_EVERY
            syslog.syslog(syslog.LOG_ALERT | syslog.LOG_AUTHPRIV, f"sifgate: audit_unwritable: {error}")
        for entry in entries:
            entry.unwritable()


def _nowhere(lines: bytes, count: int) -> None:
    """Pass nothing on."""
    del lines, count


def _nothing() -> None:
    """Do nothing: nobody waits."""
