# SPDX-License-Identifier: Apache-2.0
"""What a word that many launches share stands for: keys of image names, keys of grounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from sifgate.store.database import Connection

MOST_KEYS = 2_000
"""Keys that are handed to the planner one by one; where there are more, it is told how to find them."""
_DAYS = "first_day <= (%(end)s AT TIME ZONE 'UTC')::date AND last_day >= (%(start)s AT TIME ZONE 'UTC')::date"
_IMAGES = "image", "launch_images"
_LAUNCH_GROUNDS = "grounds", "launch_grounds"
"""Column of launches, and the table that its keys stand in."""
Span = tuple[datetime, datetime]
_IMAGE = (
    "position(%(image_part)s IN image) > 0 OR position(%(image_part)s IN path) > 0"
    " OR position(%(image_part)s IN name) > 0"
)
_GROUNDS = (
    ("rule", "rules @> ARRAY[%(rule)s]"),
    (
        "cve",
        "(cves @> ARRAY[%(cve)s] OR verdict IN (SELECT digest FROM verdicts WHERE cves @> ARRAY[%(cve)s]))",
    ),
    ("fingerprint", "fingerprint LIKE %(fingerprint)s"),
)


class Keys(msgspec.Struct, frozen=True):
    """A condition on one column of launches; the default one holds for all."""

    conditions: tuple[str, ...] = ()
    values: dict[str, Any] = {}
    days: tuple[tuple[date, date], ...] | None = None
    """First and last day of each key; None: unknown, or everything matches."""

    def within(self, start: datetime, end: datetime) -> bool:
        """Return whether a launch between two instants can match."""
        if self.days is None:
            return True
        first, last = start.date(), end.date()
        return any(begins <= last and ends >= first for begins, ends in self.days)


def image_keys(connection: Connection, part: str, span: Span) -> Keys:
    """Return the condition for launches of an image with `part` in its reference, path or name; none if it is empty."""
    if not part:
        return Keys()
    return _keys(connection, _IMAGES, _IMAGE, {"image_part": part}, span)


def ground_keys(connection: Connection, wanted: Mapping[str, str], span: Span) -> Keys:
    """Return the condition for launches decided about a `cve`, by a `rule`, for a `fingerprint` that begins so."""
    values = {name: wanted[name] for name, _ in _GROUNDS if wanted[name]}
    if not values:
        return Keys()
    if "fingerprint" in values:
        values["fingerprint"] = _beginning(values["fingerprint"])
    condition = " AND ".join(text for name, text in _GROUNDS if name in values)
    return _keys(connection, _LAUNCH_GROUNDS, condition, values, span)


def _beginning(text: str) -> str:
    """Return the pattern of LIKE for what begins with `text`."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{escaped}%"


def _keys(
    connection: Connection, place: tuple[str, str], condition: str, values: dict[str, Any], span: Span
) -> Keys:
    column, table = place
    found = f"FROM {table} WHERE {_DAYS} AND ({condition})"
    rows = connection.execute(
        f"SELECT key, first_day, last_day {found} LIMIT {MOST_KEYS + 1}",
        {**values, "start": span[0], "end": span[1]},
        prepare=False,
    ).fetchall()
    if len(rows) > MOST_KEYS:
        return Keys((f"{column} IN (SELECT key {found})",), values)
    name = f"{column}_keys"
    days = tuple((row[1], row[2]) for row in rows)
    return Keys((f"{column} = ANY(%({name})s)",), {name: [row[0] for row in rows]}, days)
