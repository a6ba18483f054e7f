# SPDX-License-Identifier: Apache-2.0
"""The node's fail-open budget: how many launches may pass on failure causes within one hour of the clock.

Kept in memory: an agent that is started anew begins with a whole budget. Only root can start it.
"""

from __future__ import annotations

HOUR = 3600


class Budget:
    """Counts launches that passed although sifgate could not do its work; used from the loop only."""

    def __init__(self) -> None:
        self._hour = -1
        self._passed = 0

    def passed(self, at: float) -> int:
        """Return how many passed in the hour of `at` (seconds since 1970)."""
        return self._passed if int(at) // HOUR == self._hour else 0

    def is_spent(self, per_hour: int, at: float) -> bool:
        """Return whether no more may pass in the hour of `at`."""
        return self.passed(at) >= per_hour

    def count(self, at: float) -> None:
        """Count one launch that passed."""
        hour = int(at) // HOUR
        if hour != self._hour:
            self._hour, self._passed = hour, 0
        self._passed += 1
