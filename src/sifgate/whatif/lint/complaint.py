# SPDX-License-Identifier: Apache-2.0
"""One thing that lint found."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Weight(IntEnum):
    """How much it matters."""

    INFO = 0
    """Worth knowing."""
    WARNING = 1
    """Probably not what was meant."""
    ERROR = 2
    """It cannot do what it is there for."""

    @property
    def word(self) -> str:
        """Return `info`, `warning` or `error`."""
        return self.name.lower()


class Complaint(msgspec.Struct, frozen=True):
    """One finding of lint."""

    check: str
    """Stable id of the check, such as `rule-shadowed`."""
    weight: Weight
    place: str
    """`file:line`."""
    text: str
    """One sentence."""
    remedy: str
    """What to do."""
