# SPDX-License-Identifier: Apache-2.0
"""Requests that wait for a scan: each rings a bell of its own, whichever server did the scan."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator

import structlog

from sifgate.errors import StoreError
from sifgate.store.database import Database

_LOG = structlog.get_logger(__name__)
_RECONNECT_SECONDS = 1.0


class Bells:
    """Bells of requests in the event loop, rung from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bells: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)
        self.closing = False
        """Set when the server ends: nobody waits any more."""

    @contextlib.contextmanager
    def hung(self, fingerprint: str) -> Iterator[asyncio.Event]:
        """Give a bell that rings whenever the scan of a fingerprint changes, and take it away at the end."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._bells[fingerprint].add(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._bells[fingerprint].discard(entry)
                if not self._bells[fingerprint]:
                    del self._bells[fingerprint]

    def ring(self, fingerprint: str) -> None:
        """Wake who waits for this fingerprint; from any thread."""
        with self._lock:
            entries = list(self._bells.get(fingerprint, ()))
        for loop, bell in entries:
            with contextlib.suppress(RuntimeError):  # the loop ended
                loop.call_soon_threadsafe(bell.set)

    def ring_all(self) -> None:
        """Wake everybody: something may have been missed."""
        with self._lock:
            fingerprints = list(self._bells)
        for fingerprint in fingerprints:
            self.ring(fingerprint)

    def close(self) -> None:
        """Let nobody wait any more."""
        self.closing = True
        self.ring_all()


def listen(database: Database, bells: Bells, wake: Callable[[], None], stop: threading.Event) -> None:
    """Ring bells and wake workers as PostgreSQL tells of changed scans, until `stop`; runs in a thread of its own."""
    while not stop.is_set():
        try:
            connection = database.listener()
        except StoreError as error:
            _LOG.warning("listener connect", error=str(error))
            stop.wait(_RECONNECT_SECONDS)
            continue
        with contextlib.closing(connection):
            bells.ring_all()
            wake()
            try:
                while not stop.is_set():
                    for notification in connection.notifies(timeout=1.0):
                        bells.ring(notification.payload)
                        wake()
            except Exception as error:  # noqa: BLE001  # whatever it is, hearing must go on
                _LOG.warning("listener lost", error=str(error))
                stop.wait(_RECONNECT_SECONDS)
