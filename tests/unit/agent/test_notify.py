# SPDX-License-Identifier: Apache-2.0
"""What systemd is told, by real datagrams: states, and signs of life that stop when the loop hangs."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sifgate.agent import notify
from sifgate.agent.loop import Loop


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_state_arrives(manager: socket.socket) -> None:
    """A state is one datagram; without a manager, or with a dead one, nothing happens."""
    notify.tell("READY=1")
    assert manager.recv(100) == b"READY=1"
    notify.tell("READY=1", {})
    notify.tell("READY=1", {"NOTIFY_SOCKET": "/nonexistent/socket"})
    assert not select.select([manager], [], [], 0)[0]


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_watchdog_of_this_process_counts(variables: dict[str, str], seconds: float) -> None:
    """The interval is systemd's, if it is meant for this process."""
    assert notify.patience(variables) == seconds


def test_hung_loop_is_silent(manager: socket.socket) -> None:
    """A loop that turns gives signs of life; one that is held up gives none."""
    loop = Loop()
    hung, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hung.set()
        go_on.wait(10)

    thread = threading.Thread(target=loop.run)
    loop.soon(lambda: notify.keep_awake(loop.later, 0.15))
    thread.start()
    try:
        assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        loop.soon(hang)
        assert hung.wait(5)
        while select.select([manager], [], [], 0)[0]:
            manager.recv(100)
        began = time.monotonic()
        assert not select.select([manager], [], [], 0.4)[0]
        assert time.monotonic() - began >= 0.4
        go_on.set()
        assert manager.recv(100) == b"WATCHDOG=1"
    finally:
        go_on.set()
        loop.stop()
        thread.join(5)
        loop.close()
