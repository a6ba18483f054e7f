# SPDX-License-Identifier: Apache-2.0
"""Pytest plugin: the network is poisoned; a test whose process reaches beyond loopback fails, naming the line.

An audit hook sees every connect, also those of foreign libraries, and cannot be caught away: the attempt is refused
and remembered, and the test fails at its end even if the code under test swallowed the refusal.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")
OUR_DIRECTORIES = tuple(str(HERE / name) for name in ("src", "tests", "testbed", "bench"))
attempts: list[str] = []
"""Refused attempts of the running test; emptied by the fixture."""


class PoisonedNetwork(OSError):
    """A test reached for a machine that is not this one."""


def is_here(host: str) -> bool:
    """Return whether a host name or address stands for this machine's loopback, without asking anybody."""
    if host in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _host_of(event: str, arguments: tuple[object, ...]) -> str:
    """Return the host that an audit event is about, or "" if it cannot leave the machine."""
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = arguments[0]
        return host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
    connection, address = arguments[0], arguments[1]
    if not isinstance(connection, socket.socket) or connection.family not in {
        socket.AF_INET,
        socket.AF_INET6,
    }:
        return ""
    return str(address[0]) if isinstance(address, tuple) and address else ""


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event not in EVENTS:
        return
    host = _host_of(event, arguments)
    if is_here(host):
        return
    text = f"{event} to {host} from {_calling_line()}"
    attempts.append(text)
    raise PoisonedNetwork(f"the network is poisoned in tests: {text}")


def _calling_line() -> str:
    """Return file:line of the innermost frame that is ours."""
    frames = [frame for frame in traceback.extract_stack() if frame.filename.startswith(OUR_DIRECTORIES)]
    ours = [frame for frame in frames if frame.filename != __file__]
    return (
        f"{Path(ours[-1].filename).relative_to(HERE)}:{ours[-1].lineno}"
        if ours
        else "a foreign library's thread"
    )


def pytest_configure() -> None:
    """Install the hook; it stays until the process ends."""
    if not getattr(sys, "_sifgate_poisoned", False):
        sys._sifgate_poisoned = True  # type: ignore[attr-defined]  # noqa: SLF001 - a hook cannot be removed: add it once
        sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def poisoned_network() -> Iterator[list[str]]:
    """Fail the test if it, or a thread of it, reached beyond loopback; tests of the hook itself empty the list."""
    attempts.clear()
    yield attempts
    if attempts:
        pytest.fail("the network is poisoned in tests: " + "; ".join(attempts))
