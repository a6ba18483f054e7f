# SPDX-License-Identifier: Apache-2.0
"""What the site wants to be told at once: to syslog with the highest urgency, counted for `status`."""

from __future__ import annotations

import syslog
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable

LIMIT = 4096
"""Occasions remembered as told."""

Tell = Callable[[int, str], object]


class Alarms:
    """Told once per occasion, counted each time; used from the loop only."""

    def __init__(self, tell: Tell = syslog.syslog) -> None:
        self._tell = tell
        self._told: OrderedDict[Hashable, None] = OrderedDict()
        self.count: Counter[str] = Counter()
        """Since start, by name: every launch that met one."""

    def ring(self, name: str, occasion: Hashable, text: str) -> None:
        """Count an alarm, and tell syslog unless that was done for this occasion already."""
        self.count[name] += 1
        key = (name, occasion)
        if key in self._told:
            return
        self._told[key] = None
        if len(self._told) > LIMIT:
            self._told.popitem(last=False)
        self._tell(syslog.LOG_ALERT | syslog.LOG_AUTHPRIV, f"sifgate: {name}: {_line(text)}")


def _line(text: str) -> str:
    """Return the text as one line of printable characters: parts of it are users' words."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:1000]
