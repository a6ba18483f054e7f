# SPDX-License-Identifier: Apache-2.0
"""The client against agents that are slow, rude, or gone; and its promise to the hot path."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sifgate import wire
from sifgate.client import Client
from sifgate.errors import AgentRefused, AgentUnreachable, ProtocolError

SOURCE = Path(__file__).parents[3] / "src"
Script = Callable[[socket.socket], None]
Serve = Callable[[Script], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve one conversation by a script; returns the socket's path."""
    with tempfile.TemporaryDirectory(prefix="sg-") as place:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(f"{place}/agent.sock")
        listening.listen(4)
        threads: list[threading.Thread] = []

        def begin(script: Script) -> str:
            def run() -> None:
                connection, _ = listening.accept()
                with connection:
                    script(connection)

            threads.append(threading.Thread(target=run))
            threads[-1].start()
            return f"{place}/agent.sock"

        yield begin
        for thread in threads:
            thread.join(10)
        listening.close()


def say(connection: socket.socket, verb: str, **fields: str) -> None:
    """Send one turn of the agent."""
    wire.send(connection, wire.encode(verb, [(key, value.encode()) for key, value in fields.items()]))


def test_conversation_opens_the_image_and_returns_the_decision(serve: Serve, tmp_path: Path) -> None:
    """ask, wait, open, opened, decision: in the agent's order, the image by descriptor."""
    (tmp_path / "x.sif").write_bytes(b"an image")
    seen: list[bytes] = []

    def script(connection: socket.socket) -> None:
        seen.append(wire.receive(connection)[0])
        say(connection, "wait", text="patience")
        say(connection, "open", path="x.sif", cwd=str(tmp_path))
        _, (descriptor,) = wire.receive(connection)
        seen.append(os.pread(descriptor, 100, 0))
        os.close(descriptor)
        say(connection, "decision", action="warn", notice="hm", reference="7QX4-19", once="1")

    texts: list[str] = []
    answer = Client(serve(script)).ask([("path", b"x.sif")], wait=texts.append)
    assert (answer.text("action"), answer.text("reference")) == ("warn", "7QX4-19")
    assert seen == [wire.encode("ask", [("path", b"x.sif")]), b"an image"]
    assert texts == ["patience"]


def test_image_that_cannot_be_opened_is_told_by_number(serve: Serve) -> None:
    """The agent hears errno, and no descriptor."""

    def script(connection: socket.socket) -> None:
        wire.receive(connection)
        say(connection, "open", path="/no/such/file", cwd="/")
        data, descriptors = wire.receive(connection)
        assert not descriptors
        say(connection, "decision", action="allow", reference=wire.decode(data).text("errno"))

    assert Client(serve(script)).ask([]).text("reference") == "2"


def test_long_answer_arrives_whole(serve: Serve) -> None:
    """An answer of many megabytes comes through a sealed memfd."""

    def script(connection: socket.socket) -> None:
        wire.receive(connection)
        wire.send(connection, wire.encode("answer", [("body", b"x" * 9_000_000)], limit=wire.ANSWER_LIMIT))

    assert len(Client(serve(script)).query("audit")) == 9_000_000


def test_error_is_raised_with_the_agents_code(serve: Serve) -> None:
    """What the agent will not do is not an agent that is away."""

    def script(connection: socket.socket) -> None:
        wire.receive(connection)
        say(connection, "error", code="forbidden", text="only root may")

    with pytest.raises(AgentRefused, match="only root") as caught:
        Client(serve(script)).query("reload")
    assert caught.value.code == "forbidden"


def test_silence_counts_as_unreachable(serve: Serve) -> None:
    """No sign of life in time ends the wait."""
    done = threading.Event()

    def script(connection: socket.socket) -> None:
        wire.receive(connection)
        done.wait(10)

    begun = time.monotonic()
    with pytest.raises(AgentUnreachable, match="no sign of life"):
        Client(serve(script), sign_of_life=0.2).ask([])
    assert time.monotonic() - begun < 2
    done.set()


def test_signs_of_life_do_not_outlast_the_deadline(serve: Serve) -> None:
    """An agent that only ever says `wait` is given up at the deadline."""

    def script(connection: socket.socket) -> None:
        wire.receive(connection)
        for _ in range(1000):
            try:
                say(connection, "wait", text="")
            except OSError:
                return
            time.sleep(0.02)

    with pytest.raises(AgentUnreachable, match=r"deadline|no sign of life"):
        Client(serve(script)).ask([], deadline=0.3)


@pytest.mark.parametrize(
    "data", [b"sifgate/2 decision\n", b"garbage", b"sifgate/1 ask\n", b"sifgate/1 decision\naction:9=x\n"]
)
def test_words_that_are_no_turn_are_a_protocol_error(serve: Serve, data: bytes) -> None:
    """An answer outside the protocol is never taken for a decision."""

    def script(connection: socket.socket) -> None:
        wire.receive(connection)
        connection.send(data)

    with pytest.raises(ProtocolError):
        Client(serve(script)).ask([])


def listen_and_leave(connection: socket.socket) -> None:
    """Hear the question and say nothing."""
    wire.receive(connection)


def test_agent_that_hangs_up_is_unreachable(serve: Serve) -> None:
    """The end of a conversation before its decision is no decision."""
    with pytest.raises(AgentUnreachable, match="hung up"):
        Client(serve(listen_and_leave)).ask([])


def test_nobody_there_is_unreachable_at_once(tmp_path: Path) -> None:
    """No socket, and a socket nobody listens on."""
    with pytest.raises(AgentUnreachable):
        Client(str(tmp_path / "none")).ask([])
    with pytest.raises(AgentUnreachable):
        Client("/" + "x" * 200).ask([])


def test_hot_path_imports_little() -> None:
    """The prolog's imports: nothing that the design forbids gets loaded, whoever asks for it."""
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import sifgate.client; "
        "print(*[name for name in ('socket', 'json', 'logging', 'argparse', 'dataclasses', 'typing', 're', 'pathlib', "
        "'collections', 'enum', 'subprocess', 'hashlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@contextlib.contextmanager
def busy(times: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the socket of an agent that is busy so many times and then allows, and what it was asked."""
    asked: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sg-") as place, contextlib.ExitStack() as stack:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listening.bind(f"{place}/agent.sock")
        listening.listen(4)

        def run() -> None:
            for number in range(times + 1):
                connection, _ = listening.accept()
                with connection:
                    asked.append(wire.decode(wire.receive(connection)[0]).verb)
                    if number < times:
                        say(connection, "error", code="busy", text="too many conversations")
                    else:
                        say(connection, "decision", action="allow")

        def serve() -> None:
            with contextlib.suppress(OSError):
                run()

        thread = threading.Thread(target=serve)
        thread.start()
        stack.callback(thread.join, 10)
        stack.callback(listening.close)
        stack.callback(listening.shutdown, socket.SHUT_RDWR)
        yield f"{place}/agent.sock", asked


def test_agent_that_is_busy_is_asked_again() -> None:
    """`busy` is a pause, not an answer, until the client's own deadline."""
    with busy(2) as (path, asked):
        assert Client(path).ask([]).text("action") == "allow"
    assert asked == ["ask"] * 3


def test_agent_that_stays_busy_is_given_up() -> None:
    """At the deadline the client hears what the agent said last."""
    with busy(1000) as (path, asked):
        started = time.monotonic()
        with pytest.raises(AgentRefused, match="too many"):
            Client(path).ask([], deadline=0.7)
        assert time.monotonic() - started < 5
    assert len(asked) > 1


@pytest.mark.root
@pytest.mark.parametrize("uid", [4711, 65534])
def test_who_is_not_root_is_no_agent(uid: int) -> None:
    """Another user who listens in the agent's place can neither decide nor be handed an image."""
    with (
        tempfile.TemporaryDirectory(prefix="sg-") as place,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening,
    ):
        listening.bind(f"{place}/agent.sock")
        os.seteuid(uid)
        try:
            listening.listen(4)
        finally:
            os.seteuid(0)
        with pytest.raises(AgentUnreachable, match=f"uid {uid} listens there"):
            Client(f"{place}/agent.sock").ask([("path", b"/x")], deadline=5)
