# SPDX-License-Identifier: Apache-2.0
"""A few threads for work that spends its time where the interpreter lock is released: inflate and pread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST = 4
_WORTH_IT = 8
"""Below this many items a thread costs more than it brings."""


def in_threads(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return `function` of every item, in order; the first error of any thread is raised when all have ended."""
    count = min(_MOST, len(os.sched_getaffinity(0)))
    if count < 2 or len(items) < _WORTH_IT:  # noqa: PLR2004  one thread is no threads
        return [function(item) for item in items]
    results: list[list[Result]] = [[] for _ in range(count)]
    errors: list[BaseException] = []
    stride = -(-len(items) // count)

    def run(number: int) -> None:
        try:
            for item in items[number * stride : (number + 1) * stride]:
                if errors:
                    return
                results[number].append(function(item))
        except BaseException as error:  # noqa: BLE001  handed to the caller, who raises it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(1, count)]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [result for part in results for result in part]
