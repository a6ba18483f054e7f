# SPDX-License-Identifier: Apache-2.0
"""Records as syslog messages (RFC 5424), with their fields as structured data, to a file, socket or host."""

from __future__ import annotations

import re
import socket
from contextlib import closing
from typing import BinaryIO

from sifgate.audit.export.fields import flat, sentence
from sifgate.audit.record import AuditRecord
from sifgate.errors import ConfigError

AUTHPRIV = 10
SEVERITIES = {"block": 4, "warn": 5}
"""Of actions: warning, notice; all else is informational."""
INFORMATIONAL = 6
STRUCTURED_ID = "sifgate@32473"
"""32473 is the number that RFC 5612 gives to whoever has none of his own."""
VALUE_LIMIT = 512
"""Characters of one value: a datagram must hold the whole message."""
_LEFT_OUT = frozenset(
    {"time", "node", "argv", "argv_sha256", "claimed", "findings", "detail", "prev", "schema"}
)
"""Fields that the header has, or that are too long for a message; the log has them all."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_SPECIAL = re.compile(r'(["\\\]])')
_TIMEOUT = 10.0


def message(record: AuditRecord) -> bytes:
    """Return one syslog message, without a frame around it."""
    priority = AUTHPRIV * 8 + SEVERITIES.get(record.action, INFORMATIONAL)
    time = record.time if _TIME.fullmatch(record.time) else "-"
    values = " ".join(
        f'{name}="{_escaped(value)}"'
        for name, value in flat(record).items()
        if name not in _LEFT_OUT and value not in ("", "0", "no")
    )
    data = f"[{STRUCTURED_ID} {values}]" if values else "-"
    head = f"<{priority}>1 {time} {_word(record.node, 255)} sifgate - {_word(record.outcome, 32)} {data} "
    return head.encode() + b"\xef\xbb\xbf" + sentence(record).encode()


def _escaped(value: str) -> str:
    if len(value) > VALUE_LIMIT:
        value = value[: VALUE_LIMIT - 1] + "…"
    return _SPECIAL.sub(r"\\\1", value)


def _word(text: str, limit: int) -> str:
    """Return a word of the header: printable ASCII without spaces; `-` for none."""
    return re.sub(r"[^!-~]", "_", text)[:limit] or "-"


class Target:
    """Where messages go: `-` (a stream), `unix:PATH`, `udp:HOST:PORT`, `tcp:HOST:PORT`."""

    def __init__(self, where: str, stream: BinaryIO | None = None) -> None:
        """Connect; raises ConfigError for a target that is none or cannot be reached."""
        self._stream = stream
        self._framed = False
        self._socket: socket.socket | None = None
        if where == "-":
            return
        kind, _, rest = where.partition(":")
        try:
            self._socket = _connected(kind, rest)
        except OSError as error:
            raise ConfigError(
                f"{where}: {error.strerror or error}", hint="is anybody listening there?"
            ) from error
        self._framed = kind == "tcp"

    def send(self, content: bytes) -> None:
        """Send one message; raises OSError."""
        if self._socket is None:
            if self._stream is not None:
                self._stream.write(content + b"\n")
        elif self._framed:
            self._socket.sendall(b"%d %b" % (len(content), content))  # RFC 6587 §3.4.1: octet counting
        else:
            self._socket.send(content)

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            with closing(self._socket):
                self._socket = None


def _connected(kind: str, rest: str) -> socket.socket:
    if kind == "unix" and rest:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.settimeout(_TIMEOUT)
        try:
            made.connect(rest)
        except OSError:
            made.close()
            raise
        return made
    host, colon, port = rest.rpartition(":")
    if kind not in ("udp", "tcp") or not colon or not port.isdigit():
        raise ConfigError(
            f"{kind}:{rest}: no target of syslog messages",
            hint="- or unix:/dev/log, udp:HOST:PORT, tcp:HOST:PORT",
        )
    if kind == "tcp":
        return socket.create_connection((host.strip("[]"), int(port)), timeout=_TIMEOUT)
    family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.connect(address)
    return made
