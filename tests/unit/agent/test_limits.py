# SPDX-License-Identifier: Apache-2.0
"""Peers that are slow, rude, or many: bounded, and nobody else notices."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent, eventually, settled_file
from tests.fakes.server import FakeServer

from sifgate import wire
from sifgate.agent import session as session_module
from sifgate.agent.loop import Loop
from sifgate.agent.peer import Peer
from sifgate.agent.shares import Allowance, PendingPasses
from sifgate.config import AgentSettings, Shares

Start = Callable[..., RunningAgent]


def connect(agent: RunningAgent) -> socket.socket:
    """Return a connection that has said nothing yet."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(10)
    connection.connect(str(agent.agent.socket_path))
    return connection


def answer(connection: socket.socket) -> wire.Message:
    """Return the next turn that is no sign of life."""
    while True:
        message = wire.decode(wire.receive(connection)[0])
        if message.verb != "wait":
            return message


@pytest.mark.root
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"sifgate/1 ask",
        b"sifgate/1 ask\nuid:4=10",
        b"sifgate/1 dance\n",
        b"sifgate/1 opened\n",
        b"sifgate/1 memfd\n",
        b"\0" * 65_536,
        wire.encode("ask", [("uid", b"-5"), ("path", b"/x")]),
        wire.encode("ask", [("uid", b"many"), ("path", b"/x")]),
        wire.encode("ask", [("door", b"cellar"), ("path", b"/x")]),
        wire.encode("ask", [("job", b"1"), ("nodes", b"0"), ("path", b"/x")]),
        wire.encode("ask", [("deadline_ms", b"soon"), ("path", b"/x")]),
        wire.encode("explain", [("reference", b"\xff" * 1000)]),
        wire.encode("audit", [("job", b"x")]),
        wire.encode("audit", [("limit", b"9" * 30)]),
    ],
)
def test_rude_peer_hears_an_error_and_the_next_one_is_served(agent: RunningAgent, data: bytes) -> None:
    """Bytes that are no question end that conversation, and no other."""
    with connect(agent) as connection:
        if data:
            connection.send(data)
            assert answer(connection).verb == "error"
            assert wire.receive(connection)[0] == b""
    assert agent.query("status")["node"]


def test_words_out_of_turn_end_the_conversation(agent: RunningAgent, tmp_path: Path) -> None:
    """A second question instead of `opened` is refused, and leaves nothing open."""
    with connect(agent) as connection:
        question = wire.encode("ask", [("door", b"spank"), ("uid", b"1"), ("path", b"/x")])
        connection.send(question)
        assert answer(connection).verb == "open"
        connection.send(question)
        assert answer(connection).text("code") == "protocol"
    eventually(lambda: agent.agent.listener.open == 0)


def test_descriptor_flood_leaves_nothing_open(agent: RunningAgent) -> None:
    """Descriptors where none belong, and a hundred where one belongs, are all closed."""
    flood(agent)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        flood(agent)
    eventually(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)


def flood(agent: RunningAgent) -> None:
    """Send many descriptors where none, and where one, is expected."""
    with Path("/dev/null").open("rb") as null:
        for verb in ("ask", "opened"):
            with connect(agent) as connection:
                wire.send(connection, wire.encode(verb, [("path", b"/x")]), (null.fileno(),) * 100)
                assert answer(connection).text("code") == "protocol"


def test_silent_peer_is_hung_up_on(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and says nothing is let go after a while."""
    monkeypatch.setattr(session_module, "IDLE_LIMIT", 0.2)
    with connect(agent) as connection:
        assert answer(connection).text("code") == "timeout"


def test_shim_whose_open_hangs_gets_a_decision(agent: RunningAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image whose open() hangs is `unresolved`, not an error that would be the shim's posture."""
    monkeypatch.setattr(session_module, "IDLE_LIMIT", 0.2)
    with connect(agent) as connection:
        connection.send(wire.encode("ask", [("door", b"spank"), ("uid", b"1"), ("path", b"/x")]))
        assert answer(connection).verb == "open"
        assert answer(connection).text("action") == "warn"
    assert "in time" in agent.records()[0].detail


def test_peer_that_hangs_up_while_waiting_leaves_nothing(agent: RunningAgent, tmp_path: Path) -> None:
    """The scan goes on without the peer; nothing stays open for him."""
    agent.worker.held = True
    image = settled_file(tmp_path / "x.sif", b"x")
    with connect(agent) as connection, image.open("rb") as file:
        connection.send(wire.encode("ask", [("door", b"spank"), ("uid", b"1"), ("path", bytes(image))]))
        assert answer(connection).verb == "open"
        wire.send(connection, wire.encode("opened"), (file.fileno(),))
        eventually(lambda: agent.worker.runs == 1)
    eventually(lambda: agent.agent.listener.open == 0)
    agent.worker.gate.set()
    eventually(lambda: len(agent.agent.cache) == 1)


def test_waiting_peer_hears_signs_of_life(
    agent: RunningAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an image is read the shim hears something at least every two seconds."""
    monkeypatch.setattr(session_module, "SIGN_OF_LIFE", 0.4)
    agent.worker.held = True
    image = settled_file(tmp_path / "x.sif", b"x")
    heard: list[str] = []

    def listen(text: str) -> None:
        heard.append(text)
        if len(heard) == 3:
            agent.worker.gate.set()

    fields = [("door", b"spank"), ("uid", b"1"), ("path", bytes(image))]
    assert agent.client.ask(fields, wait=listen).text("action") == "allow"
    assert [bool(text) for text in heard[:3]] == [True, False, False]


@pytest.mark.root
def test_ten_thousand_connections_are_bounded(start: Start) -> None:
    """More conversations than the limit are turned away with a word, and served again when others end."""
    agent = start(agent=AgentSettings(connections=500))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held: list[socket.socket] = []
    busy = 0
    try:
        for _ in range(10_000):
            connection = connect(agent)
            held.append(connection)
            if len(held) > 600:
                oldest = held.pop(550)
                busy += answer(oldest).text("code") == "busy"
                oldest.close()
        assert agent.agent.listener.open == 500
        assert busy > 9000
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    eventually(lambda: agent.agent.listener.open == 0)
    assert agent.query("status")["connections"]["turned_away"] >= 9000


@pytest.mark.root
def test_peer_that_is_turned_away_hears_so_whatever_it_has_sent(start: Start) -> None:
    """A question that nobody reads must not turn `busy` into a reset connection, which would be the shim's posture."""
    agent = start(agent=AgentSettings(connections=16))
    held = [connect(agent) for _ in range(16)]
    try:
        eventually(lambda: agent.agent.listener.open == 16)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with connection, Path("/dev/null").open("rb") as null:
            agent.agent.loop.soon(
                lambda: time.sleep(0.2)
            )  # so that the questions lie there before it accepts
            connection.settimeout(10)
            connection.connect(str(agent.agent.socket_path))
            for _ in range(5):
                wire.send(connection, wire.encode("ask", [("path", b"/x")]), (null.fileno(),))
            assert answer(connection).text("code") == "busy"
    finally:
        for each in held:
            each.close()


@pytest.mark.root
def test_known_directory_costs_no_share_of_new_images(start: Start, tmp_path: Path) -> None:
    """A container's root directory is read at each start; only what the node has never seen is counted."""
    agent = start(agent=AgentSettings(shares=Shares(new_images_per_hour=1)))
    (tmp_path / "box").mkdir()
    assert [agent.action(tmp_path / "box") for _ in range(4)] == ["allow"] * 4
    assert agent.worker.runs == 4
    assert agent.action(settled_file(tmp_path / "x.sif", b"x")) == "log"


def test_users_leave_the_last_of_the_room_to_root(start: Start) -> None:
    """However many users there are, and however many conversations they hold, root's shims are heard."""
    listener = start(agent=AgentSettings(connections=16)).agent.listener
    assert listener._has_room(Peer(1, 1000, 1000))
    path = listener._listening.getsockname()
    held = []
    for _ in range(14):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(path)
        held.append(connection)
    eventually(lambda: listener.open == 14)
    assert not listener._has_room(Peer(1, 1000, 1000))
    assert listener._has_room(Peer(1, 0, 0))
    for connection in held:
        connection.close()


def test_users_share_of_connections_leaves_room_for_root(agent: RunningAgent) -> None:
    """One user's conversations are bounded; root's shims are not counted against anybody."""
    listener = agent.agent.listener
    limit = Shares().connections
    listener._by_user[1000] = limit
    assert not listener._has_room(Peer(1, 1000, 1000))
    assert listener._has_room(Peer(1, 1001, 1001))
    assert listener._has_room(Peer(1, 0, 0))
    del listener._by_user[1000]


@pytest.mark.root
def test_share_of_new_images_makes_the_rest_pending(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """Past his share, a user's unknown images are not read; known ones are judged as ever."""
    agent = start(agent=AgentSettings(shares=Shares(new_images_per_hour=2)))
    images = [settled_file(tmp_path / f"{number}.sif", b"%d" % number) for number in range(3)]
    assert [agent.action(image) for image in images] == ["allow", "allow", "log"]
    assert agent.records()[2].state == "pending"
    assert "share" in agent.records()[2].detail
    assert agent.worker.runs == 2
    assert agent.action(images[0]) == "allow"
    assert agent.action(images[2], uid=1001) == "allow"


def test_upload_share_makes_the_rest_pending(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """Bytes sent for one user are bounded, before they are sent."""
    agent = start(agent=AgentSettings(shares=Shares(upload_bytes_per_hour=10)))
    image = settled_file(tmp_path / "x.sif", b"more than ten bytes")
    assert agent.action(image) == "log"
    assert "PUT /v1/layers" not in server.calls


@pytest.mark.root
def test_cold_scans_of_one_user_wait_their_turn(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """One user's images are read so many at a time; another's need not wait for them."""
    agent = start(agent=AgentSettings(shares=Shares(cold_scans=1), workers=2))
    agent.worker.held = True
    images = [settled_file(tmp_path / f"{number}.sif", b"%d" % number) for number in range(3)]
    for image in images:
        agent.client.ask([("door", b"prolog"), ("uid", b"1000"), ("path", bytes(image))], verb="prescan")
    eventually(lambda: agent.worker.runs == 1)
    other = settled_file(tmp_path / "o.sif", b"other")
    agent.client.ask([("door", b"prolog"), ("uid", b"1001"), ("path", bytes(other))], verb="prescan")
    eventually(lambda: agent.worker.runs == 2)
    assert agent.agent.scans.in_flight == 4
    agent.worker.gate.set()
    eventually(lambda: agent.agent.scans.in_flight == 0)
    assert agent.worker.runs == 4


def test_allowance_refills_evenly() -> None:
    """What is spent comes back with time, never past the amount, and root is not counted."""
    now = [0.0]
    share = Allowance(2, 10.0, lambda: now[0])
    assert [share.take(1), share.take(1), share.take(1)] == [True, True, False]
    assert share.take(2)
    now[0] = 5.0
    assert [share.take(1), share.take(1)] == [True, False]
    now[0] = 1000.0
    assert [share.take(1), share.take(1), share.take(1)] == [True, True, False]
    assert all(share.take(0) for _ in range(100))


def test_pending_passes_begin_anew_each_day() -> None:
    """Passes are counted per user, path and day."""
    now = [0.0]
    passes = PendingPasses(lambda: 1, lambda: now[0])
    assert [passes.take(1, "/x"), passes.take(1, "/x")] == [True, False]
    assert passes.take(1, "/y")
    assert passes.take(2, "/x")
    now[0] = 86_400.0
    assert passes.take(1, "/x")


def test_work_that_outlives_its_loop_touches_nothing() -> None:
    """A thread that ends after the loop was closed writes into no descriptor that has its number by then."""
    loop = Loop()
    gate = threading.Event()
    promise = loop.offload(gate.wait)
    loop.close()
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        taken = [os.dup(left.fileno()) for _ in range(8)]
        gate.set()
        loop._pool.shutdown(wait=True)
        right.setblocking(False)
        with pytest.raises(BlockingIOError):
            right.recv(100)
        wire.close_all(taken)
    assert not promise.done


def test_bad_errno_closes_each_descriptor_once(agent: RunningAgent) -> None:
    """An `opened` that makes no sense ends the conversation, its descriptors closed exactly once."""
    with connect(agent) as connection, Path("/dev/null").open("rb") as null:
        connection.send(wire.encode("ask", [("door", b"spank"), ("uid", b"1"), ("path", b"/x")]))
        assert answer(connection).verb == "open"
        wire.send(connection, wire.encode("opened", [("errno", b"x")]), (null.fileno(),))
        assert answer(connection).text("code") == "protocol"
    assert agent.query("status")["node"]
