# SPDX-License-Identifier: Apache-2.0
"""Since when this site knows a vulnerability and its fix: dates that are written once and never move.

They are written in the transaction that stores the verdict which tells them (docs/decisions/clocks.md): a worker that
dies leaves neither, and two workers that see a thing at the same time agree on whose date it is.
"""

from __future__ import annotations

from psycopg.types.json import Jsonb

from sifgate.model.clocks import Clocks, FixPlace, Sightings
from sifgate.store.database import Connection

_KNOWN_FIXES = (
    "SELECT f.vulnerability, f.package, f.system, f.first_seen FROM fix_sightings f"
    " JOIN unnest(%s::text[], %s::text[], %s::text[]) AS asked (vulnerability, package, system)"
    " USING (vulnerability, package, system)"
)


def mark(connection: Connection, fingerprint: str, seen: Sightings, day: str) -> Clocks:
    """Return since when each sighting is known, `day` (ISO) for what is new, within the caller's transaction.

    A sighting that another transaction is just writing is waited for, so that both have the same date.
    """
    return Clocks(
        image=_image(connection, fingerprint, seen.names, day),
        site=_site(connection, sorted(seen.names), day),
        fixes=_fixes(connection, sorted(seen.fixes), day),
    )


def _image(connection: Connection, fingerprint: str, names: frozenset[str], day: str) -> dict[str, str]:
    """Return the dates of one fingerprint; its row is locked, so that its scans are marked one after the other."""
    connection.execute(
        "INSERT INTO image_sightings (fingerprint) VALUES (%s) ON CONFLICT DO NOTHING", (fingerprint,)
    )
    row = connection.execute(
        "SELECT seen FROM image_sightings WHERE fingerprint = %s FOR UPDATE", (fingerprint,)
    ).fetchone()
    known: dict[str, str] = row[0] if row else {}
    new = {name: day for name in sorted(names) if name not in known}
    if new:
        connection.execute(
            "UPDATE image_sightings SET seen = seen || %s WHERE fingerprint = %s", (Jsonb(new), fingerprint)
        )
    return {name: known.get(name, day) for name in names}


def _site(connection: Connection, names: list[str], day: str) -> dict[str, str]:
    known = _known_names(connection, names)
    new = [name for name in names if name not in known]
    if new:
        # sorted: two that insert the same names wait for each other in one order only
        connection.execute(
            "INSERT INTO site_sightings (vulnerability, first_seen) SELECT unnest(%s::text[]), %s::date"
            " ON CONFLICT DO NOTHING",
            (new, day),
        )
        known |= _known_names(connection, new)
    return known


def _known_names(connection: Connection, names: list[str]) -> dict[str, str]:
    rows = connection.execute(
        "SELECT vulnerability, first_seen FROM site_sightings WHERE vulnerability = ANY(%s)", (names,)
    )
    return {name: first.isoformat() for name, first in rows}


def _fixes(connection: Connection, places: list[FixPlace], day: str) -> dict[tuple[str, str, str], str]:
    known = _known_fixes(connection, places)
    new = [place for place in places if place not in known]
    if new:
        connection.execute(
            "INSERT INTO fix_sightings (vulnerability, package, system, first_seen)"
            " SELECT *, %s::date FROM unnest(%s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING",
            (day, *_columns(new)),
        )
        known |= _known_fixes(connection, new)
    return known


def _known_fixes(connection: Connection, places: list[FixPlace]) -> dict[tuple[str, str, str], str]:
    rows = connection.execute(_KNOWN_FIXES, _columns(places))
    return {(name, package, system): first.isoformat() for name, package, system, first in rows}


def _columns(places: list[FixPlace]) -> tuple[list[str], list[str], list[str]]:
    return (
        [place.vulnerability for place in places],
        [place.package for place in places],
        [place.system for place in places],
    )
