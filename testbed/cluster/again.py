# SPDX-License-Identifier: Apache-2.0
"""What has 50 ms is not done in time on every busy machine: tried again, where a test is about something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
TRIES = 10


def again(attempt: Callable[[], Result], good: Callable[[Result], bool]) -> Result:
    """Return the first good result of an attempt, or the last one of all."""
    for _ in range(TRIES - 1):
        result = attempt()
        if good(result):
            return result
    return attempt()
