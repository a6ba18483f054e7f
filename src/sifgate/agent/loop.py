# SPDX-License-Identifier: Apache-2.0
"""The agent's one loop: descriptors, timers, and results of work that was done elsewhere.

Everything that can wait (files that users name, the server, the disk) runs in `offload`'s threads; what they found
comes back here. Nothing in here locks, except the queue that wakes the loop.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sifgate.agent.turns import Promise

T = TypeVar("T")
_BATCH = 1024
"""Events looked at in one turn."""


class Loop:
    """Runs until `stop`."""

    def __init__(self, *, threads: int = 16) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._soon: deque[Callable[[], None]] = deque()
        self._wake = _wake_descriptor()
        self._wake_lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, "sifgate-work")
        self._quick = ThreadPoolExecutor(4, "sifgate-quick")
        self._stopped = False
        self.turn_end: Callable[[], None] = lambda: None
        """Called at the end of every turn: the journal writes then, and its replies go out."""
        self.watch(self._wake, lambda _events: _drain(self._wake))

    def watch(self, descriptor: int, handler: Callable[[int], None], events: int = select.EPOLLIN) -> None:
        """Call `handler(events)` whenever the descriptor is ready."""
        self._epoll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def forget(self, descriptor: int) -> None:
        """Watch the descriptor no longer; the caller closes it, which takes it out of the kernel's set too."""
        self._handlers.pop(descriptor, None)

    def ignore(self, descriptor: int) -> None:
        """Watch the descriptor no longer though it stays open, here or in another process."""
        self.forget(descriptor)
        self._epoll.unregister(descriptor)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, in `seconds`; there is no cancelling: what is called looks whether it still matters."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), call))

    def soon(self, call: Callable[[], None]) -> None:
        """Call in the loop's thread as soon as it turns; the one method that other threads may use."""
        self._soon.append(call)
        self._ring()

    def offload(self, work: Callable[[], T], *, quick: bool = False) -> Promise[T]:
        """Return a promise of `work()`, done in a thread; `quick` work never queues behind the server or an image."""
        promise: Promise[T] = Promise()

        def run() -> None:
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - whoever awaits the promise gets it
                self.soon(_later_failure(promise, error))
            else:
                self.soon(lambda: promise.keep(value))

        (self._quick if quick else self._pool).submit(run)
        return promise

    def run(self) -> None:
        """Turn until `stop`, which may have been called already."""
        while not self._stopped:
            self._turn()

    def stop(self) -> None:
        """End `run` after this turn; may be called from a signal handler."""
        self._stopped = True
        os.write(self._wake, _ONE)

    def close(self) -> None:
        """Let go of threads and descriptors; work in threads is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._quick.shutdown(wait=True, cancel_futures=True)
        self._epoll.close()
        with self._wake_lock:
            os.close(self._wake)
            self._wake = -1

    def _ring(self) -> None:
        """Wake the loop; a thread that outlives it must not write into whatever has its descriptor's number by then."""
        with self._wake_lock:
            if self._wake >= 0:
                os.write(self._wake, _ONE)

    def _turn(self) -> None:
        for descriptor, events in self._epoll.poll(self._patience(), _BATCH):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(events)
        for _ in range(len(self._soon)):
            self._soon.popleft()()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        self.turn_end()

    def _patience(self) -> float:
        if self._soon:
            return 0.0
        if not self._timers:
            return -1.0
        return max(0.0, self._timers[0][0] - time.monotonic())


_ONE = (1).to_bytes(8, sys.byteorder)


def _later_failure(promise: Promise[T], error: Exception) -> Callable[[], None]:
    return lambda: promise.fail(error)


def _drain(descriptor: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(descriptor, 65_536)


def _wake_descriptor() -> int:
    """Return an eventfd; os.eventfd needs Python 3.10, which is what the agent needs."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
