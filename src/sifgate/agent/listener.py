# SPDX-License-Identifier: Apache-2.0
"""The socket: accepts conversations, bounded in all and per user, and hands each to its session."""

from __future__ import annotations

import _socket
import contextlib
import os
import socket
import stat
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sifgate import fsguard, wire
from sifgate.agent.loop import Loop
from sifgate.agent.parses import Parses
from sifgate.agent.peer import Peer, peer_of
from sifgate.agent.session import Session, Verb, hang_up
from sifgate.errors import ConfigError

BACKLOG = 4096
ACCEPTS = 256
"""Connections taken in one turn, so that those already talking are heard in between."""
ROOTS_PART = 8
"""Users fill all but this part of the room: whatever many of them do together, root's shims are heard."""
SWEEP_EVERY = 0.5
LONGEST_PATH = 107
"""Bytes of a socket's path: sun_path has 108, one of them for its NUL (unix(7))."""
_BUSY = wire.encode("error", [("code", b"busy"), ("text", b"too many conversations")])
_SD_LISTEN_FDS_START = 3


def bind(path: Path) -> socket.socket:
    """Return the listening socket: systemd's if it hands one over, else a new one at `path` (mode 0666).

    Raises ConfigError where others could replace it, an agent is listening there already, or the path is too long.
    """
    handed = _from_systemd()
    if handed is not None:
        return handed
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ConfigError(
            f"{path}: {len(os.fsencode(path))} bytes are too long for a socket",
            hint=f"choose a directory so that the path has at most {LONGEST_PATH} bytes (sun_path, unix(7))",
        )
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fsguard.check(path.parent, owner_uid=os.geteuid())
    _remove_dead(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        listening.bind(str(path))
        path.chmod(0o666)  # who may ask is judged by SO_PEERCRED
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    return listening


def handed_over() -> bool:
    """Return whether the listening socket is systemd's (sd_listen_fds(3)), which then stays when the agent ends."""
    return os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1"


def _from_systemd() -> socket.socket | None:
    if not handed_over():
        return None
    listening = socket.socket(fileno=_SD_LISTEN_FDS_START)
    if listening.family != socket.AF_UNIX or listening.type != socket.SOCK_SEQPACKET:
        raise ConfigError(
            "systemd's socket is not SOCK_SEQPACKET", hint="ListenSequentialPacket= in the socket unit"
        )
    listening.setblocking(False)
    os.set_inheritable(listening.fileno(), False)
    return listening


def _remove_dead(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path}: is not a socket", hint="move it away")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.settimeout(1.0)
        with contextlib.suppress(ConnectionRefusedError):
            probe.connect(str(path))
            raise ConfigError(f"{path}: an agent is listening here already", hint="end it first")
    path.unlink()


class Listener:
    """Accepts and counts."""

    def __init__(
        self,
        listening: socket.socket,
        loop: Loop,
        verb_of: Callable[[str], Verb | None],
        parses: Parses,
        *,
        total: int,
        per_user: int,
    ) -> None:
        self._listening = listening
        self._loop = loop
        self._verb_of = verb_of
        self._parses = parses
        self._total = total
        self._per_user = per_user
        self._sessions: dict[int, Session] = {}
        self._by_user: Counter[int] = Counter()
        self.accepted = 0
        self.turned_away = 0
        loop.watch(listening.fileno(), self._accept)
        loop.later(SWEEP_EVERY, self._sweep)

    @property
    def open(self) -> int:
        """Conversations right now."""
        return len(self._sessions)

    def rest(self) -> None:
        """Accept no more: whoever connects from now on waits in the socket for the next agent."""
        self._loop.ignore(self._listening.fileno())

    def close(self) -> None:
        """Accept no more, and hang up on everybody."""
        self._loop.forget(self._listening.fileno())
        self._listening.close()
        for session in list(self._sessions.values()):
            session.close()

    def _accept(self, _events: int) -> None:
        for _ in range(ACCEPTS):
            try:
                descriptor, _ = self._listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - as socket.accept does
            except OSError:  # nobody waits any more, or no descriptor is free: the sweep makes room
                return
            connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, descriptor)
            peer = peer_of(connection)
            if self._has_room(peer):
                self._welcome(connection, peer)
            else:
                self.turned_away += 1
                with contextlib.suppress(OSError):
                    connection.send(_BUSY, _socket.MSG_DONTWAIT)
                hang_up(connection)

    def _has_room(self, peer: Peer) -> bool:
        """Return whether one more conversation is held: the last eighth of the room is for the doors that bind."""
        if peer.uid == 0:
            return len(self._sessions) < self._total
        room = self._total - self._total // ROOTS_PART
        return len(self._sessions) < room and self._by_user[peer.uid] < self._per_user

    def _welcome(self, connection: _socket.socket, peer: Peer) -> None:
        session = Session(connection, peer, self._verb_of, self._parses, self._gone)
        descriptor = connection.fileno()
        self._sessions[descriptor] = session
        self._by_user[peer.uid] += 1
        self.accepted += 1
        self._loop.watch(descriptor, partial(_readable, session))
        session.readable()  # the question is mostly there already: saves a turn

    def _gone(self, session: Session) -> None:
        descriptor = session.fileno
        self._loop.forget(descriptor)
        self._sessions.pop(descriptor, None)
        self._by_user[session.peer.uid] -= 1
        if not self._by_user[session.peer.uid]:
            del self._by_user[session.peer.uid]

    def _sweep(self) -> None:
        now = time.monotonic()
        for session in list(self._sessions.values()):
            session.look_after(now)
        self._loop.later(SWEEP_EVERY, self._sweep)


def _readable(session: Session, _events: int) -> None:
    session.readable()
