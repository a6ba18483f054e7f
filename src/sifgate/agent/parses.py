# SPDX-License-Identifier: Apache-2.0
"""Long messages are taken apart beside the loop: so many at a time, each user one, users in turn.

A shell's text of megabytes takes seconds to parse, in threads that share one interpreter with the loop. Few of them
at a time keep the other launches quick, and a user who sends many waits for himself only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sifgate.agent.turns import Promise

T = TypeVar("T")
AT_ONCE = 2
"""Parses at the same time; of one user one."""
SWITCH_INTERVAL = 0.0005
"""Seconds after which the interpreter takes turns: the loop waits this long, not 5 ms, whenever it comes back from the
kernel while a parse runs."""

Offload = Callable[[Callable[[], Any]], Promise[Any]]


class _Waiting(NamedTuple):
    work: Callable[[], Any]
    promise: Promise[Any]


class Parses:
    """Used from the loop only."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload
        self._waiting: dict[int, deque[_Waiting]] = {}
        self._running: set[int] = set()

    def of(self, uid: int, work: Callable[[], T]) -> Promise[T]:
        """Return a promise of `work()`, done in a thread when it is this user's turn."""
        promise: Promise[T] = Promise()
        self._waiting.setdefault(uid, deque()).append(_Waiting(work, promise))
        self._start()
        return promise

    def _start(self) -> None:
        for uid in [uid for uid in self._waiting if uid not in self._running]:
            if len(self._running) == AT_ONCE:
                return
            work, promise = self._waiting[uid].popleft()
            if not self._waiting[uid]:
                del self._waiting[uid]
            self._running.add(uid)
            done = self._offload(work)
            done.waiter = partial(self._over, uid, done, promise)

    def _over(self, uid: int, done: Promise[Any], promise: Promise[Any]) -> None:
        self._running.discard(uid)
        if uid in self._waiting:
            self._waiting[uid] = self._waiting.pop(uid)  # behind the others
        self._start()
        try:
            value = done.result()
        except Exception as error:  # noqa: BLE001 - whoever awaits the promise gets it
            promise.fail(error)
        else:
            promise.keep(value)
