# SPDX-License-Identifier: Apache-2.0
"""One measured figure, what it is compared with, and the target of the issue."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A line of the bench's table."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    """Whether the target is a floor (`≥`) instead of a ceiling (`≤`)."""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def median_seconds(
    times: int, action: Callable[[], object], *, prepare: Callable[[], None] = lambda: None
) -> float:
    """Return the median wall time of `action` over `times` runs, in seconds; `prepare` runs before each, unmeasured."""
    laps = []
    for _ in range(times):
        prepare()
        started = time.perf_counter()
        action()
        laps.append(time.perf_counter() - started)
    return statistics.median(laps)


def quantile(samples: list[float], share: float) -> float:
    """Return the sample below which `share` (0 to 1) of all samples lie; nearest rank."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
