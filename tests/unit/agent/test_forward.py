# SPDX-License-Identifier: Apache-2.0
"""Records are passed on to syslog and journald as they are written, and nothing waits for these."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent, eventually, settled_file
from tests.fakes.records import record

from sifgate.agent import forward
from sifgate.agent.forward import Forwarder
from sifgate.audit.pseudonym import Disguise
from sifgate.audit.record import encode
from sifgate.config import AuditSettings

Listen = Callable[[], socket.socket]


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """Listen as /dev/log does, again after the one before was closed."""
    made: list[socket.socket] = []

    def begin() -> socket.socket:
        (tmp_path / "log").unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.settimeout(10)
        listener.bind(str(tmp_path / "log"))
        made.append(listener)
        return listener

    yield begin
    for listener in made:
        listener.close()


@pytest.fixture
def forwarder(tmp_path: Path) -> Iterator[Forwarder]:
    """A forwarder to both places, which are one socket here; started."""
    place = str(tmp_path / "log")
    made = Forwarder(("syslog", "journald"), bytes, device=f"unix:{place}", journal=place)
    made.start()
    yield made
    made.stop()


def test_each_record_reaches_both(forwarder: Forwarder, listen: Listen) -> None:
    """A message and an entry, in the order of the records."""
    listener = listen()
    forwarder.put(encode(record(1)) + encode(record(2)), 2)
    heads = [listener.recv(65_536)[:8] for _ in range(4)]
    assert heads == [b"<84>1 20", b"MESSAGE=", b"<84>1 20", b"MESSAGE="]
    eventually(lambda: forwarder.forwarded == 4)
    assert (forwarder.dropped, forwarder.problem) == (0, "")


def test_restarted_receiver_is_found_again(forwarder: Forwarder, listen: Listen) -> None:
    """What nobody took is dropped and counted; the next goes to the new one."""
    first = listen()
    forwarder.put(encode(record(1)), 1)
    eventually(lambda: forwarder.forwarded == 2)
    first.close()
    forwarder.put(encode(record(2)), 1)
    eventually(lambda: forwarder.dropped == 2)
    assert forwarder.problem
    again = listen()
    forwarder.put(encode(record(3)), 1)
    assert b"SIFGATE" in again.recv(65_536).upper()
    eventually(lambda: not forwarder.problem)


def test_full_queue_drops_and_never_waits(tmp_path: Path) -> None:
    """Not started, nobody takes anything: past its room all is dropped, counted."""
    made = Forwarder(("syslog",), bytes, device=f"unix:{tmp_path / 'log'}")
    for _ in range(forward.ROOM + 3):
        made.put(encode(record(1)), 1)
    assert made.dropped == 3


def test_pseudonyms_hold_here_too(tmp_path: Path, listen: Listen) -> None:
    """Nothing in clear leaves by this way; without a key nothing leaves at all."""
    listener = listen()
    key = tmp_path / "key"
    made = Forwarder(("syslog",), Disguise(("user",), key), device=f"unix:{tmp_path / 'log'}")
    made.start()
    made.put(encode(record(1)), 1)
    eventually(lambda: made.dropped == 1)
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    made.put(encode(record(1)), 1)
    assert b"alice" not in listener.recv(65_536)
    made.stop()


def test_agent_forwards_what_it_writes(
    start: Callable[..., RunningAgent], tmp_path: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `audit.forward` says."""
    listener = listen()
    monkeypatch.setattr(forward, "DEVICE", f"unix:{tmp_path / 'log'}")
    agent = start(audit=AuditSettings(ship=False, forward=("syslog",)))
    agent.ask(settled_file(tmp_path / "x.sif", b"x"))
    assert b"decided [sifgate@32473" in listener.recv(65_536)
    eventually(lambda: agent.query("status")["audit"]["forwarded"] == 1)
