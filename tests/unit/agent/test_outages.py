# SPDX-License-Identifier: Apache-2.0
"""The server away, another in its place, or Clair away behind it: a cause, never a verdict."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent, digest_of, settled_file
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict, make_certificate

from sifgate.config import ServerSettings

Start = Callable[..., RunningAgent]


def test_cached_image_needs_no_server(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """With the server gone, what is known stays judged by its verdict."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "block"
    server.close()
    assert agent.action(image) == "block"
    server.close = lambda: None  # type: ignore[method-assign]  # closed already


def test_uncached_image_without_server_is_a_cause(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """Nothing known and nobody to ask: `server_unreachable`, whose action the policy sets."""
    gone = ServerSettings(f"https://127.0.0.1:{free_port()}", server.certificate, server.token_file)
    agent = start(server=gone)
    image = tmp_path / "x.sif"
    image.write_bytes(b"x")
    assert agent.action(image) == "log"
    assert agent.records()[0].cause == "server_unreachable"
    assert agent.records()[0].state == ""


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_other_certificate_is_not_believed(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """A listener with a certificate of its own on the server's port gives no verdict, however well it speaks."""
    other, _ = make_certificate(tmp_path, "other")
    agent = start(server=ServerSettings(server.settings.url, other, server.token_file))
    server.know(clean_verdict(digest_of(b"x")))
    (tmp_path / "x.sif").write_bytes(b"x")
    assert agent.action(tmp_path / "x.sif") == "log"
    assert agent.records()[0].cause == "server_unreachable"
    assert agent.records()[0].fingerprint == digest_of(b"x")


@pytest.fixture
def babbler() -> Iterator[int]:
    """A port where somebody accepts and says things that are not TLS."""
    listening = socket.create_server(("127.0.0.1", 0))

    def babble() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            connection.close()

    thread = threading.Thread(target=babble)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def test_plain_listener_is_not_believed(
    start: Start, server: FakeServer, babbler: int, tmp_path: Path
) -> None:
    """Whoever takes the port without TLS is not the server."""
    agent = start(
        server=ServerSettings(f"https://127.0.0.1:{babbler}", server.certificate, server.token_file)
    )
    (tmp_path / "x.sif").write_bytes(b"x")
    assert agent.action(tmp_path / "x.sif") == "log"
    assert agent.records()[0].cause == "server_unreachable"


def test_changed_verdict_is_not_believed(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """Bytes that do not have the digest of their ETag are no verdict."""
    server.corrupt = True
    (tmp_path / "x.sif").write_bytes(b"x")
    assert agent.action(tmp_path / "x.sif") == "log"
    assert agent.records()[0].cause == "server_unreachable"


def test_verdict_about_another_image_is_not_believed(
    agent: RunningAgent, server: FakeServer, tmp_path: Path
) -> None:
    """A verdict must be about the fingerprint that was asked for."""
    server.finding = lambda fingerprint: clean_verdict(fingerprint[::-1])
    server.verdicts[digest_of(b"x")] = b'{"fingerprint":"00","state":"known"}'
    (tmp_path / "x.sif").write_bytes(b"x")
    assert agent.action(tmp_path / "x.sif") == "log"
    assert agent.records()[0].cause == "server_unreachable"


def test_refused_token_is_an_outage(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """A token that the server refuses is told as such and not tried again."""
    server.token_file.write_text("wrong\n", encoding="ascii")
    (tmp_path / "x.sif").write_bytes(b"x")
    agent.ask(tmp_path / "x.sif")
    assert "token" in agent.records()[0].detail
    assert len(server.calls) == 1


def test_clair_away_is_its_own_cause(agent: RunningAgent, server: FakeServer, tmp_path: Path) -> None:
    """The server's word that Clair is away is not a verdict, nor an unreachable server."""
    server.clair_down = True
    (tmp_path / "x.sif").write_bytes(b"x")
    assert agent.action(tmp_path / "x.sif") == "log"
    assert agent.records()[0].cause == "clair_unavailable"
