# SPDX-License-Identifier: Apache-2.0
"""One conversation: ask → open → opened → wait … → decision (docs/protocol.md §1), as a small state machine.

Its coroutine is one of the verbs of `agent.verbs` or a launch (`agent.launch`); this file owns turns, descriptors and
the signs of life, and knows nothing of images or policy.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

from sifgate import wire
from sifgate.agent.identity import Identity, check_received
from sifgate.agent.parses import Parses
from sifgate.agent.peer import Peer
from sifgate.agent.turns import Promise, drive
from sifgate.errors import ProtocolError, SifgateError, Unresolved
from sifgate.model.image import ImageReference

SIGN_OF_LIFE = 1.0
"""Seconds between two `wait` turns: half of what a shim bears."""
IDLE_LIMIT = 10.0
"""Seconds that a peer may keep the agent waiting for its next message."""
PULL_LIMIT = 3600.0
"""Seconds that a pull may take: the runtime fetches and converts the image, over whatever network there is."""
DESCRIPTORS_LIMIT = 32
"""Images of one conversation."""

_MAX_ERRNO = 4096
_WHY_LIMIT = 300
_ROOM = wire.PACKET_LIMIT - 256
"""Bytes of names that a turn has room for: what the agent says to a shim fits one packet."""

Verb = Callable[["Session", wire.Message], Coroutine[Promise[Any], None, None]]


class Session:
    """One connection; used from the loop only."""

    __slots__ = (
        "_busy",
        "_close",
        "_connection",
        "_limit",
        "_opening",
        "_parses",
        "_unread",
        "_verb_of",
        "arrived",
        "closed",
        "descriptors",
        "heard",
        "identity",
        "peer",
        "pulled",
        "pulls",
        "spoke",
    )

    def __init__(
        self,
        connection: _socket.socket,
        peer: Peer,
        verb_of: Callable[[str], Verb | None],
        parses: Parses,
        close: Callable[[Session], None],
    ) -> None:
        self._connection = connection
        self.peer = peer
        self._verb_of = verb_of
        self._parses = parses
        self._close = close
        self._busy = False
        self._opening: Promise[int] | None = None
        self._limit = IDLE_LIMIT
        self._unread = False  # whether the peer may have said more than was heard
        self.descriptors: list[int] = []
        self.identity: Identity | None = None
        """Of the descriptor received last; None once another one is asked for."""
        self.pulls = False
        """Whether the shim said that it can pull."""
        self.pulled = 0.0
        """Seconds spent in pulls, which count for no deadline."""
        self.spoke = 0.0
        """Monotonic time of the last sign of life."""
        self.arrived = 0.0
        """Monotonic time of the question."""
        self.heard = time.monotonic()
        """Monotonic time since which the agent waits for the peer."""
        self.closed = False

    @property
    def fileno(self) -> int:
        """Return the connection's descriptor."""
        return self._connection.fileno()

    @property
    def awaited(self) -> bool:
        """Whether the agent waits for the peer's next message."""
        return not self._busy or self._opening is not None

    def readable(self) -> None:
        """Take what has arrived."""
        try:
            data, descriptors = wire.receive(self._connection, flags=_socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except (OSError, ProtocolError) as error:
            self.refuse("protocol", str(error))
            return
        if not data:
            wire.close_all(descriptors)
            self.close()
            return
        try:
            if len(data) > wire.PACKET_LIMIT:
                self._decode_beside(data)
            else:
                self._take(wire.decode(data), descriptors)
        except ProtocolError as error:
            wire.close_all(descriptors)
            self.refuse("protocol", str(error))

    def _decode_beside(self, data: bytes) -> None:
        """Take a message that came as a memfd (so without descriptors), and may have a great many fields."""
        if self._busy:
            raise ProtocolError("a long message out of turn")
        self._busy = True
        self.arrived = self.spoke = time.monotonic()
        promise = self._parses.of(self.peer.uid, lambda: wire.decode(data))
        promise.waiter = lambda: self._decoded(promise)

    def _decoded(self, promise: Promise[wire.Message]) -> None:
        if self.closed:
            return
        self._busy = False
        try:
            self._take(promise.result(), [])
        except ProtocolError as error:
            self.refuse("protocol", str(error))

    def _take(self, message: wire.Message, descriptors: list[int]) -> None:
        if self._opening is not None:
            if message.verb != "opened":
                raise ProtocolError(f"{message.verb!r} where `opened` was expected")
            self._opened(self._opening, message, descriptors)
            return
        verb = None if self._busy else self._verb_of(message.verb)
        if verb is None:
            raise ProtocolError(f"{message.verb!r} is no verb, or out of turn")
        if descriptors:
            raise ProtocolError(f"{message.verb!r} carries no descriptors")
        self._busy = True
        self.arrived = self.spoke = time.monotonic()
        drive(verb(self, message), _ended, self._failed)

    def open(self, reference: ImageReference, cwd: str) -> Promise[int]:
        """Ask the shim for a descriptor of the image; the session closes it at its end. See the port `Shim`."""
        return self._request("open", [("path", _bytes(reference.path)), ("cwd", _bytes(cwd))], IDLE_LIMIT)

    def pull(self, reference: ImageReference, word: int) -> Promise[int]:
        """Ask the shim to have a local file made of what is none; no deadline runs meanwhile. See the port `Shim`."""
        fields = [("uri", _bytes(reference.text)), ("word", b"%d" % word)]
        return self._request("pull", fields, PULL_LIMIT)

    def _request(self, verb: str, fields: list[tuple[str, bytes]], limit: float) -> Promise[int]:
        promise: Promise[int] = Promise()
        self.identity = None
        if len(self.descriptors) >= DESCRIPTORS_LIMIT:
            promise.fail(Unresolved("too many images in one launch"))
            return promise
        if sum(len(value) for _, value in fields) > _ROOM:
            promise.fail(Unresolved("the name is too long"))
            return promise
        self._opening = promise
        self._limit = limit
        self.heard = self.spoke = time.monotonic()
        self.send(verb, fields)
        return promise

    def _opened(self, promise: Promise[int], message: wire.Message, descriptors: list[int]) -> None:
        self._opening = None
        if self._limit > IDLE_LIMIT:
            self.pulled += time.monotonic() - self.heard
        if message.first("errno"):
            number = message.number("errno")
            wire.close_all(descriptors)
            promise.fail(Unresolved(_why(number, message.text("text"))))
            return
        self.descriptors += descriptors
        if len(descriptors) != 1:
            promise.fail(Unresolved(f"the shim sent {len(descriptors)} descriptors (expected 1)"))
            return
        try:
            self.identity = check_received(descriptors[0])
        except Unresolved as error:
            promise.fail(error)
        except OSError as error:
            promise.fail(Unresolved(f"cannot be looked at: {error.strerror}"))
        else:
            promise.keep(descriptors[0])

    def look_after(self, now: float) -> None:
        """Give a sign of life where the peer waits; give up where the agent waited long enough."""
        if self.awaited:
            if now - self.heard > (self._limit if self._opening is not None else IDLE_LIMIT):
                self._timed_out()
        elif now - self.spoke >= SIGN_OF_LIFE:
            self.wait()

    def _timed_out(self) -> None:
        """Go on without the peer: an image that hangs when opened is `unresolved`, a silent peer is hung up on."""
        if self._opening is None:
            self.refuse("timeout", "nothing was heard in time")
            return
        self._unread = True
        opening, self._opening = self._opening, None
        opening.fail(Unresolved("could not be opened in time"))

    def wait(self, text: str = "") -> None:
        """Give a sign of life, with a line for the user's terminal or without."""
        self.spoke = time.monotonic()
        self.send("wait", [("text", text.encode("utf-8", "replace"))])

    def finish(self, verb: str, fields: list[tuple[str, bytes]]) -> None:
        """Say the last word and hang up."""
        if self.closed:
            return
        try:
            data = wire.encode(verb, fields, limit=wire.ANSWER_LIMIT)
        except ProtocolError as error:
            data = wire.encode("error", [("code", b"too_large"), ("text", str(error).encode())])
        self._send(data)
        self.close()

    def refuse(self, code: str, text: str) -> None:
        """Answer `error` and hang up."""
        self._unread = True
        self.finish("error", [("code", code.encode()), ("text", text.encode("utf-8", "replace")[:1000])])

    def send(self, verb: str, fields: list[tuple[str, bytes]]) -> None:
        """Say something; a peer that does not listen is hung up on."""
        if not self.closed:
            self._send(wire.encode(verb, fields))

    def close(self) -> None:
        """Hang up, close the images, and drop the question if it is still open."""
        if self.closed:
            return
        self.closed = True
        self._close(self)
        if self._unread:
            hang_up(self._connection)
        else:
            self._connection.close()
        wire.close_all(self.descriptors)
        self.descriptors = []
        if self._opening is not None:
            opening, self._opening = self._opening, None
            opening.fail(Unresolved("the shim hung up"))

    def _send(self, data: bytes) -> None:
        try:
            wire.send(self._connection, data, flags=_socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno not in _HUNG_UP:
                raise
            self.close()

    def _failed(self, error: Exception) -> None:
        code = error.code if isinstance(error, SifgateError) else "internal"
        text = str(error) if isinstance(error, SifgateError) else f"{type(error).__name__}: {error}"
        self.refuse(code, text)


def hang_up(connection: _socket.socket) -> None:
    """Close a connection whose peer is to read what was said last.

    A socket that is closed before it was read out gives the peer ECONNRESET in place of that (unix(7), since a message
    of his is lost); so nothing more is taken, and what has arrived is thrown away.
    """
    with contextlib.suppress(OSError):
        connection.shutdown(_socket.SHUT_RD)
        while connection.recv(1, _socket.MSG_DONTWAIT):
            pass
    connection.close()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _why(number: int, text: str) -> str:
    """Return why the shim has no descriptor; the text is the user's, or that of the runtime that he ran."""
    if text:
        return f"cannot be made a local file: {text[:_WHY_LIMIT]}"
    return f"cannot be opened: {os.strerror(number) if 0 < number < _MAX_ERRNO else number}"


_HUNG_UP = frozenset(
    {errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EAGAIN, errno.ENOBUFS, errno.EBADF}
)


def _ended(_: None) -> None:
    """Take the end of a conversation, which has said its last word itself."""
