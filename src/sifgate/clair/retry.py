# SPDX-License-Identifier: Apache-2.0
"""When to ask Clair again: which refusals, how often, after what pause (clair.md §1.7).

An own loop instead of `stamina`: the pauses must end at once when the server stops, and each kind of refusal has
its own count.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import msgspec

from sifgate.clair.faults import ClairDied, ClairNotReady, ClairRefusesKey, LayerNotFetched, ScannerBroke
from sifgate.errors import ClairUnavailable, ScannerError

T = TypeVar("T")

AT_ONCE_FINAL = (ClairDied, ClairRefusesKey, ClairNotReady)
"""Not asked again: the caller must decide, or nothing would change."""
TRIES = {LayerNotFetched: 3, ScannerBroke: 2}
"""How often in all, whatever time is left."""


class Patience(msgspec.Struct, frozen=True):
    """How long things may take, seconds; pauses are drawn from 0 to a bound that doubles from `first` to `most`."""

    index: float = 600.0
    report: float = 120.0
    probe: float = 15.0
    retry: float = 30.0
    """After this long no further try starts."""
    first: float = 1.0
    most: float = 30.0


def retried(once: Callable[[], T], patience: Patience, stop: threading.Event) -> T:
    """Return what `once` returns, trying again where that can help; raises its last error."""
    deadline = time.monotonic() + patience.retry
    seen: Counter[type[ScannerError]] = Counter()
    bound = patience.first
    while True:
        try:
            return once()
        except (ClairUnavailable, ScannerBroke) as error:
            seen[type(error)] += 1
            pause = random.uniform(0, bound)  # noqa: S311  # spreads requests, hides nothing
            spent = isinstance(error, AT_ONCE_FINAL) or seen[type(error)] >= TRIES.get(type(error), 1 << 30)
            if spent or time.monotonic() + pause > deadline or stop.wait(pause):
                raise
            bound = min(bound * 2, patience.most)
