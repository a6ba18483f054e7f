# SPDX-License-Identifier: Apache-2.0
"""Sends the head of the chain to the server within a minute of a new record, and keeps its countersignatures.

From then on nobody on the node can change what came before without being found out: the server has the head. Only
what is on the disk is sent, so that a power loss is not taken for tampering.
"""

from __future__ import annotations

import os
import syslog
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from sifgate.agent.remote import Remote
from sifgate.audit.log import AuditLog
from sifgate.audit.record import iso
from sifgate.errors import HeadRefused
from sifgate.model.head import Countersigned, Head

EVERY = 20.0
"""Seconds between two heads while there are new records."""
THIN_AFTER = 7 * 86_400.0
"""Seconds after which one head an hour is kept on the node; the server keeps all."""
_DAY = 86_400.0
_HOUR = len("2026-01-01T00")


class Heads:
    """Used by the shipper's thread only."""

    def __init__(self, path: Path, log: AuditLog, remote: Remote, node: str) -> None:
        self.sent = 0
        """Heads that the server has countersigned since start."""
        self.problem = ""
        """Why the server will not have our heads; empty: it has the newest or was not asked."""
        self._path = path
        self._log = log
        self._remote = remote
        self._node = node
        self._seq = 0
        self._next = 0.0
        self._next_thinning = 0.0

    def send_if_due(self, clock: Callable[[], float] = time.monotonic) -> bool:
        """Send the head if there are new records and the last one is old enough; return whether one was sent.

        Raises ServerUnreachable. A head that contradicts what the server knows is an alarm.
        """
        chain = self._log.chain
        self._thin_if_due(clock())
        if chain is None or chain.stand.seq in (0, self._seq) or clock() < self._next:
            return False
        stand = self._log.durable_stand()
        if stand is None:
            return False
        head = Head(self._node, stand.chain, stand.seq, stand.head, iso(time.time()))
        try:
            answer = self._remote.send_head(head)
        except HeadRefused as error:
            self._alarm(str(error))
        else:
            self._keep(answer)
            self.sent += 1
            self.problem = ""
        self._seq, self._next = stand.seq, clock() + EVERY
        return True

    def thin(self) -> None:
        """Of heads older than a week keep the last of each hour; raises OSError."""
        kept: dict[str, Countersigned] = {}
        border = iso(time.time() - THIN_AFTER)
        before = kept_heads(self._path)
        for head in before:
            recent = head.time >= border
            kept[head.chain + (f"#{head.seq}" if recent else head.time[:_HOUR])] = head
        if len(kept) < len(before):
            temporary = self._path.with_suffix(".new")
            temporary.write_bytes(b"".join(msgspec.json.encode(head) + b"\n" for head in kept.values()))
            temporary.replace(self._path)

    def _thin_if_due(self, now: float) -> None:
        if now >= self._next_thinning:
            self._next_thinning = now + _DAY
            self.thin()

    def _keep(self, answer: Countersigned) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(answer) + b"\n")
        finally:
            os.close(descriptor)

    def _alarm(self, why: str) -> None:
        if not self.problem:
            text = f"sifgate: the server refuses the head of the audit log: {why}"
            syslog.syslog(syslog.LOG_ALERT | syslog.LOG_AUTHPRIV, text)
        self.problem = why


def kept_heads(path: Path) -> list[Countersigned]:
    """Return the countersigned heads of a file, lines that are none left out; none for a missing file."""
    found = []
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    for line in content.split(b"\n"):
        try:
            found.append(msgspec.json.decode(line, type=Countersigned))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found
