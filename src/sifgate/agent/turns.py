# SPDX-License-Identifier: Apache-2.0
"""Coroutines without an event loop of somebody else: a promise that is kept once, and a driver.

The agent's loop drives one coroutine per conversation. A coroutine that never has to wait runs through in one call, so
a warm launch costs no scheduling at all.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_EMPTY: Any = object()


class Promise(Generic[T]):
    """A value that comes later; kept or broken once, later calls are ignored. Used from one thread only."""

    __slots__ = ("_error", "_value", "waiter")

    def __init__(self) -> None:
        self._value: T = _EMPTY
        self._error: BaseException | None = None
        self.waiter: Callable[[], None] | None = None
        """Called when the promise is kept or broken."""

    @classmethod
    def kept(cls, value: T) -> Promise[T]:
        """Return a promise whose value is there already."""
        promise = cls()
        promise._value = value
        return promise

    @property
    def done(self) -> bool:
        """Whether it is kept or broken."""
        return self._value is not _EMPTY or self._error is not None

    def keep(self, value: T) -> None:
        """Give the value to whoever waits."""
        if not self.done:
            self._value = value
            self._wake()

    def fail(self, error: BaseException) -> None:
        """Raise `error` in whoever waits."""
        if not self.done:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter()

    def result(self) -> T:
        """Return the value, or raise what broke the promise; only once `done`."""
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator[Promise[T], None, T]:
        if not self.done:
            yield self
        return self.result()


def drive(
    coroutine: Coroutine[Promise[Any], None, T],
    finish: Callable[[T], None],
    fail: Callable[[Exception], None],
) -> None:
    """Run a coroutine until it waits or ends; go on when what it waits for is there; then call `finish` or `fail`."""
    try:
        promise = coroutine.send(None)
    except StopIteration as end:
        finish(end.value)
        return
    except Exception as error:  # noqa: BLE001 - one conversation's fault must not end the others'; `fail` reports it
        fail(error)
        return
    promise.waiter = lambda: drive(coroutine, finish, fail)
