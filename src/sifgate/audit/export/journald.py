# SPDX-License-Identifier: Apache-2.0
"""Records as journal entries, by journald's native protocol: one datagram each, every field searchable."""

from __future__ import annotations

import socket

from sifgate.audit.export.fields import flat, sentence
from sifgate.audit.export.syslog import AUTHPRIV, INFORMATIONAL, SEVERITIES
from sifgate.audit.record import AuditRecord
from sifgate.errors import ConfigError

SOCKET = "/run/systemd/journal/socket"
MESSAGE_ID = "3d1c2f7f5c0b4b6f9d6f0a7a5e1f6a42"
"""Tells our entries from all others: `journalctl MESSAGE_ID=…`."""
_TIMEOUT = 10.0


def entry(record: AuditRecord) -> bytes:
    """Return the entry of a record: `journalctl SIFGATE_ACTION=block SIFGATE_USER=alice` finds it."""
    fields = {
        "MESSAGE": sentence(record),
        "MESSAGE_ID": MESSAGE_ID,
        "PRIORITY": str(SEVERITIES.get(record.action, INFORMATIONAL)),
        "SYSLOG_IDENTIFIER": "sifgate",
        "SYSLOG_FACILITY": str(AUTHPRIV),
    }
    fields |= {f"SIFGATE_{name.upper()}": value for name, value in flat(record).items() if value}
    return b"".join(_field(name, value.encode("utf-8", "replace")) for name, value in fields.items())


def _field(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return name.encode() + b"=" + value + b"\n"
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


class Journal:
    """A connection to journald."""

    def __init__(self, path: str = SOCKET) -> None:
        """Connect; raises ConfigError where nobody listens."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_TIMEOUT)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise ConfigError(f"{path}: {error.strerror}", hint="does systemd-journald run here?") from error

    def send(self, content: bytes) -> None:
        """Send one entry; raises OSError."""
        self._socket.send(content)

    def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()
