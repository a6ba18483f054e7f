# SPDX-License-Identifier: Apache-2.0
"""What the agent tells systemd: ready, reloading, stopping, and at intervals that its loop still turns."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping


def tell(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send one state (sd_notify(3)) to the service manager; does nothing where there is none."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.setblocking(False)  # a manager that does not listen holds nobody up
        notifier.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def patience(environment: Mapping[str, str] = os.environ) -> float:
    """Return after how many seconds of silence systemd ends this process (sd_watchdog_enabled(3)); 0: never."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    words = environment.get("WATCHDOG_USEC", "")
    return int(words) / 1e6 if words.isdecimal() else 0.0


def keep_awake(later: Callable[[float, Callable[[], None]], None], seconds: float) -> None:
    """Send a sign of life from the loop itself, three times within `seconds`: a loop that hangs is silent.

    `later(pause, call)` is the loop's timer. With 0 seconds nothing is sent.
    """
    if seconds <= 0:
        return

    def beat() -> None:
        tell("WATCHDOG=1")
        later(seconds / 3, beat)

    beat()
