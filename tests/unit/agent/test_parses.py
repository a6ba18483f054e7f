# SPDX-License-Identifier: Apache-2.0
"""Messages that take seconds to parse: whoever sends them waits, the others do not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.agent import RunningAgent, eventually, settled_file

from sifgate import wire
from sifgate.agent.parses import AT_ONCE, Parses
from sifgate.agent.turns import Promise

TEXT = "a;" * 120_000 + "echo apptainer"
"""Shell text just below what is read of one; some half second of parsing, and nothing starts in it."""


@contextmanager
def asking(agent: RunningAgent, fields: list[tuple[str, bytes]]) -> Iterator[socket.socket]:
    """Yield a connection that has asked."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(60)
        connection.connect(str(agent.agent.socket_path))
        wire.send(connection, wire.encode("ask", [("door", b"spank"), ("cwd", b"/"), *fields]))
        yield connection


def last_word(connection: socket.socket) -> wire.Message:
    """Return the next turn that is no sign of life."""
    while True:
        message = wire.decode(wire.receive(connection)[0])
        if message.verb != "wait":
            return message


def has_answer(connection: socket.socket) -> bool:
    """Return whether the answer is there already; takes signs of life away."""
    connection.setblocking(False)
    try:
        while True:
            if wire.decode(wire.receive(connection)[0]).verb != "wait":
                return True
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(60)


@pytest.mark.usefixtures("untraced")
def test_launches_pass_hostile_text_that_is_being_parsed(agent: RunningAgent, tmp_path: Path) -> None:
    """Three asks of 1.1 MB, half of it hostile shell text, of one user are overtaken by another's launches."""
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "allow"
    words = ["mpirun", "bash", "-c", TEXT, ":", "bash", "-c", TEXT, "x" * 600_000]
    hostile = [("uid", b"1000"), *(("arg", word.encode()) for word in words)]
    with (
        asking(agent, hostile),
        asking(agent, hostile),
        asking(agent, hostile) as third,
    ):
        for _ in range(5):
            assert agent.action(image, uid=1001) == "allow"
        assert not has_answer(third)
        assert last_word(third).text("action") == "allow"


def test_many_fields_are_decoded_beside_the_loop(agent: RunningAgent, tmp_path: Path) -> None:
    """Four megabytes of tiny fields, too many or just few enough, get their answer."""
    with asking(agent, [("uid", b"1000"), *[("arg", b"")] * 260_000]) as connection:
        assert last_word(connection).text("action") == "allow"
    with asking(agent, [("uid", b"1000"), *[("arg", b"")] * 270_000]) as connection:
        assert last_word(connection).text("code") == "protocol"


def test_long_message_out_of_turn_ends_the_conversation(agent: RunningAgent) -> None:
    """A long message where `opened` is due is refused; so is anything while a long one is decoded."""
    long = wire.encode("ask", [("arg", b"a" * wire.PACKET_LIMIT)] * 20)
    with asking(agent, [("uid", b"1000"), ("path", b"/x")]) as connection:
        assert wire.decode(wire.receive(connection)[0]).verb == "open"
        wire.send(connection, long)
        assert last_word(connection).text("code") == "protocol"
    with asking(agent, [("uid", b"1000"), ("arg", b"a" * wire.PACKET_LIMIT)] * 20) as connection:
        wire.send(connection, long)
        last_word(connection)
    eventually(lambda: agent.agent.listener.open == 0)


def test_peer_that_leaves_during_its_parse_leaves_nothing(agent: RunningAgent) -> None:
    """Nobody waits for the answer any more: no error, and the next one is served."""
    words = [("uid", b"1000"), *[("arg", b"x" * 20)] * 100_000]
    with asking(agent, words):
        pass
    eventually(lambda: agent.agent.listener.open == 0)
    assert agent.query("status")["node"]


def test_users_take_turns() -> None:
    """One at a time per user, so many in all, and who came last is not last when the others have had a turn."""
    started: list[str] = []
    running: dict[str, Promise[Any]] = {}

    def offload(work: Callable[[], Any]) -> Promise[Any]:
        name = work()
        started.append(name)
        running[name] = Promise()
        return running[name]

    parses = Parses(offload)
    for uid, name in ((1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (2, "b2"), (3, "c1")):
        parses.of(uid, lambda name=name: name)  # type: ignore[misc]
    assert started == ["a1", "b1"]
    assert len(running) == AT_ONCE
    for name in ("a1", "b1", "c1", "a2", "b2", "a3"):
        running[name].keep(name)
    assert started == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_failure_of_a_parse_is_told_and_the_next_one_runs() -> None:
    """A defect in one parse is that conversation's error, no more."""
    promises: list[Promise[Any]] = []

    def offload(_work: Callable[[], Any]) -> Promise[Any]:
        promises.append(Promise())
        return promises[-1]

    parses = Parses(offload)
    first, second = parses.of(1, threading.get_ident), parses.of(1, threading.get_ident)
    promises[0].fail(ValueError("x"))
    promises[1].keep(7)
    with pytest.raises(ValueError, match="x"):
        first.result()
    assert second.result() == 7
