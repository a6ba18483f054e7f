# SPDX-License-Identifier: Apache-2.0
"""For which packages of a distribution release security support has ended before the release's own end."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec


class PackageSupport(msgspec.Struct, frozen=True):
    """One release's table."""

    ends: Mapping[str, str] = {}
    """ISO date since when there is no support, by source package; it may lie in the future. Empty: it goes on."""
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    """The same for entries that stand for several packages (`golang.*`), in the table's order; a name comes before."""

    def ended(self, source: str, day: str) -> bool:
        """Return whether support of a source package has ended on the ISO date `day`."""
        date = self.ends.get(source)
        if date is None:
            date = next((date for pattern, date in self.patterns if pattern.fullmatch(source)), "")
        return bool(date) and date <= day
