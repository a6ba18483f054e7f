# SPDX-License-Identifier: Apache-2.0
"""A conversation with the agent, as a shim or the CLI holds it (docs/protocol.md §1).

Standard library only, and of that only what costs less than a millisecond to import: the Slurm prolog runs this on
Python ≥ 3.9. Judges nothing: asks, opens what it is told to open with its own ids, and hands back the answer.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys
import time

from sifgate import wire
from sifgate.errors import AgentRefused, AgentUnreachable, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIGN_OF_LIFE = 2.0
"""Seconds of silence after which the agent counts as unreachable; each `wait` starts them anew."""
DEADLINE = 60.0
"""Seconds that a conversation may last where the caller names no deadline."""
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_image(path: bytes, cwd: bytes) -> int:
    """Return a read-only descriptor of `path`, taken from `cwd` where relative; raises OSError."""
    return os.open(os.path.join(cwd or b".", path), _OPEN_FLAGS)  # noqa: PTH118 - no pathlib on the hot path


class Client:
    """One agent's socket; each `ask` and `query` is a connection of its own.

    Every method raises AgentUnreachable where nobody listens or nothing is heard in time, AgentRefused where the agent
    answers `error`, ProtocolError where it does not speak sifgate/1.
    """

    def __init__(self, path: str, *, sign_of_life: float = SIGN_OF_LIFE) -> None:
        self.path = path
        self.sign_of_life = sign_of_life

    def ask(
        self,
        fields: Sequence[tuple[str, bytes]],
        *,
        verb: str = "ask",
        deadline: float = DEADLINE,
        opener: Callable[[bytes, bytes], int] = open_image,
        wait: Callable[[str], None] | None = None,
    ) -> wire.Message:
        """Return the `decision` (or `answer`) to one question.

        `opener(path, cwd)` opens the image when the agent asks for it; `wait(text)` is told each progress line;
        `deadline` bounds the whole conversation, in seconds. An agent that is busy is asked again until then.
        """
        end = time.monotonic() + deadline
        question = wire.encode(verb, fields)
        busy: AgentRefused | None = None
        while True:
            try:
                return self._converse(question, end, opener, wait)
            except AgentRefused as refusal:
                pause = 0.02 + 0.08 * os.urandom(1)[0] / 255
                if refusal.code != "busy" or time.monotonic() + pause >= end:
                    raise
                busy = refusal
                time.sleep(pause)
            except AgentUnreachable as error:
                if busy is None or time.monotonic() < end:
                    raise
                raise busy from error  # the time ran out in one more try

    def _converse(
        self,
        question: bytes,
        end: float,
        opener: Callable[[bytes, bytes], int],
        wait: Callable[[str], None] | None,
    ) -> wire.Message:
        connection = self._connect()
        try:
            self._send(connection, question)
            while True:
                message = self._next(connection, end)
                if message.verb in ("decision", "answer"):
                    return message
                if message.verb == "open":
                    self._opened(connection, message, opener)
                elif message.verb == "wait":
                    if wait is not None:
                        wait(message.text("text"))
                elif message.verb == "error":
                    raise _refused(message)
                else:
                    raise ProtocolError(f"agent said {message.verb!r}, which is no turn of this conversation")
        finally:
            connection.close()

    def query(
        self,
        verb: str,
        fields: Sequence[tuple[str, bytes]] = (),
        *,
        deadline: float = DEADLINE,
        wait: Callable[[str], None] | None = None,
    ) -> bytes:
        """Return the body (JSON) of the answer to `status`, `explain`, `audit`, `scan`, `reload`."""
        answer = self.ask(fields, verb=verb, deadline=deadline, wait=wait)
        if answer.verb != "answer":
            raise ProtocolError(f"agent said {answer.verb!r} (expected 'answer')")
        return answer.first("body")

    def _connect(self) -> _socket.socket:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(self.sign_of_life)
            connection.connect(self.path)
            owner = _listener_uid(connection)
        except OSError as error:
            connection.close()
            raise _unreachable(self.path, error) from error
        if owner not in (0, os.geteuid()) and not (owner == _OVERFLOW_UID and _ids_are_mapped()):
            connection.close()
            raise AgentUnreachable(f"{self.path}: uid {owner} listens there, who is not root", hint=_HINT)
        return connection

    def _send(self, connection: _socket.socket, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
        try:
            wire.send(connection, data, descriptors)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise _unreachable(self.path, error) from error
            # The agent may have answered and hung up before it heard all: what it said is still to be read.

    def _next(self, connection: _socket.socket, end: float) -> wire.Message:
        left = end - time.monotonic()
        if left <= 0:
            raise AgentUnreachable(f"{self.path}: no decision within the deadline", hint=_HINT)
        connection.settimeout(min(left, self.sign_of_life))
        try:
            data, descriptors = wire.receive(connection, limit=wire.ANSWER_LIMIT)
        except OSError as error:
            raise _unreachable(self.path, error) from error
        wire.close_all(descriptors)
        if not data:
            raise AgentUnreachable(f"{self.path}: agent hung up in the middle of a conversation", hint=_HINT)
        return wire.decode(data, limit=wire.ANSWER_LIMIT)

    def _opened(
        self, connection: _socket.socket, message: wire.Message, opener: Callable[[bytes, bytes], int]
    ) -> None:
        try:
            descriptor = opener(message.first("path"), message.first("cwd"))
        except OSError as error:
            number = str(error.errno or errno.EIO).encode()
            self._send(connection, wire.encode("opened", [("errno", number)]))
            return
        except ValueError:  # a NUL byte in the path
            self._send(connection, wire.encode("opened", [("errno", b"%d" % errno.EINVAL)]))
            return
        try:
            self._send(connection, wire.encode("opened"), (descriptor,))
        finally:
            os.close(descriptor)


def _listener_uid(connection: _socket.socket) -> int:
    """Return who called listen(2); he decides, and is handed descriptors of the user's files."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], sys.byteorder)


def _ids_are_mapped() -> bool:
    """Return whether this is a user namespace, where root may look like nobody (see plugin/client/foreign.c)."""
    with open("/proc/self/uid_map", "rb") as table:  # noqa: PTH123 - no pathlib on the hot path
        return table.read(64).split() != [b"0", b"0", b"4294967295"]


_OVERFLOW_UID = 65534
_HINT = "is the agent running? `sifgate status` tells, `sifgate up` starts one on this machine"


def _unreachable(path: str, error: OSError) -> AgentUnreachable:
    what = "no sign of life" if isinstance(error, TimeoutError) else error.strerror or str(error)
    return AgentUnreachable(f"{path}: {what}", hint=_HINT)


def _refused(message: wire.Message) -> AgentRefused:
    refusal = AgentRefused(message.text("text"))
    refusal.code = message.text("code", "error")
    return refusal
