# SPDX-License-Identifier: Apache-2.0
"""Fair shares: what one user may cost, checked before the work starts; root, who asks for himself, is not counted.

Being over a share never makes an image look scanned, nor the infrastructure broken: the launch's image stays
`pending`, which passes only a few times.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from sifgate.config import Shares

HOUR = 3600.0
DAY = 86_400
USERS_LIMIT = 10_000
PASSES_LIMIT = 100_000


class Allowance:
    """So much per window and user; a bucket that refills evenly."""

    def __init__(self, amount: float, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._amount = amount
        self._rate = amount / window
        self._clock = clock
        self._left: OrderedDict[int, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, uid: int, cost: float = 1.0) -> bool:
        """Return whether the user may spend `cost` now; if so it is spent."""
        if uid == 0:
            return True
        with self._lock:
            now = self._clock()
            left, then = self._left.pop(uid, (self._amount, now))
            left = min(self._amount, left + (now - then) * self._rate)
            enough = left >= cost
            self._left[uid] = (left - cost if enough else left, now)
            while len(self._left) > USERS_LIMIT:
                self._left.popitem(last=False)
            return enough


class FairShares:
    """All shares of the settings."""

    def __init__(self, shares: Shares, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = shares
        self.asks = Allowance(shares.asks_per_second, 1.0, clock)
        self.new_images = Allowance(shares.new_images_per_hour, HOUR, clock)
        self.upload_bytes = Allowance(shares.upload_bytes_per_hour, HOUR, clock)


class PendingPasses:
    """How often a user's launches of one path passed unscanned today; the policy says how often they may."""

    def __init__(self, allowed: Callable[[], int], clock: Callable[[], float] = time.time) -> None:
        self._allowed = allowed
        self._clock = clock
        self._day = 0
        self._taken: OrderedDict[tuple[int, str], int] = OrderedDict()

    def take(self, uid: int, path: str) -> bool:
        """Return whether this user may pass this path as pending once more today; counts it."""
        day = int(self._clock()) // DAY
        if day != self._day:
            self._day = day
            self._taken.clear()
        taken = self._taken.pop((uid, path), 0)
        self._taken[uid, path] = taken + 1
        if len(self._taken) > PASSES_LIMIT:
            self._taken.popitem(last=False)
        return taken < self._allowed()
