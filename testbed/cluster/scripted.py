# SPDX-License-Identifier: Apache-2.0
"""An agent that does what a test tells it, for what a real one will not do: lie, fall silent, send garbage, die.

A script is a list of steps, run for every conversation after its `ask` was read:

    ("send", bytes)          a packet as it is              ("wait", "text")       a turn `wait`
    ("open", "/path")        a turn `open`, answer kept     ("sleep", seconds)     silence
    ("flood", n)             a turn with n descriptors      ("close",)             end of the connection
    ("pull", "uri", "word")  a turn `pull`, likewise        ("decide", "block", {…}) a turn `decision`
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sifgate import wire
from sifgate.errors import ProtocolError

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

Step = tuple[Any, ...]


class ScriptedAgent:
    """Listens on a socket and follows a script; remembers every message of every conversation."""

    def __init__(self, path: Path, script: Sequence[Step] | Callable[[wire.Message], Sequence[Step]]) -> None:
        self.path = path
        self.script = script
        self.asked: list[wire.Message] = []
        self.opened: list[tuple[str, bytes]] = []
        """What came back for each `open` or `pull`: its errno (empty: a descriptor) and the file's first bytes or, of a
        directory, its names, each ended with a newline."""
        self.reasons: list[str] = []
        """What was said of each of them, empty for most."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self.path.chmod(0o666)
        self._listen()
        self._listener.settimeout(0.1)
        self._start(self._accept)
        return self

    def _listen(self) -> None:
        self._listener.listen(128)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                connection.settimeout(30)
                self._start(self._converse, connection)

    def _converse(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ProtocolError):
            data, descriptors = wire.receive(connection)
            wire.close_all(descriptors)
            ask = wire.decode(data)
            self.asked.append(ask)
            for name, *rest in self.script(ask) if callable(self.script) else self.script:
                self._step(connection, name, rest)
            connection.settimeout(0.5)
            connection.recv(1)

    def _step(self, connection: socket.socket, name: str, rest: list[Any]) -> None:
        if name == "send":
            connection.send(rest[0])
        elif name == "wait":
            connection.send(wire.encode("wait", [("text", rest[0].encode())]))
        elif name == "open":
            cwd = self.asked[-1].first("cwd")
            self._hand_over(connection, wire.encode("open", [("path", rest[0].encode()), ("cwd", cwd)]))
        elif name == "pull":
            fields = [("uri", rest[0].encode()), ("word", rest[1].encode())]
            self._hand_over(connection, wire.encode("pull", fields))
        elif name == "flood":
            with open(os.devnull, "rb") as file:  # noqa: PTH123 - not a path of ours
                socket.send_fds(connection, [wire.encode("wait", [("text", b"")])], [file.fileno()] * rest[0])
        elif name == "sleep":
            self._over.wait(rest[0])
        elif name == "close":
            connection.shutdown(socket.SHUT_RDWR)
        elif name == "decide":
            fields = [("action", rest[0].encode()), *((key, text.encode()) for key, text in rest[1].items())]
            connection.send(wire.encode("decision", fields))

    def _hand_over(self, connection: socket.socket, turn: bytes) -> None:
        connection.send(turn)
        data, descriptors = wire.receive(connection)
        answer = wire.decode(data)
        head = _head(descriptors[0]) if descriptors else b""
        self.opened.append((answer.text("errno"), head))
        self.reasons.append(answer.text("text"))
        wire.close_all(descriptors)


def _head(descriptor: int) -> bytes:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        return "".join(f"{name}\n" for name in sorted(os.listdir(descriptor))).encode()
    return os.pread(descriptor, 64, 0)
