# SPDX-License-Identifier: Apache-2.0
"""Which advisories Clair holds: how it is told to load them, how many there are, how old they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from sifgate.clair.exchange import Address, Exchange
from sifgate.engine import mirror
from sifgate.engine.report import Loaded
from sifgate.engine.settings import ALL_SETS, Advisories
from sifgate.errors import ClairUnavailable, StoreError

_OPERATIONS = "/matcher/api/v1/internal/update_operation"
_UPDATERS = {
    "debian": "debian/",
    "osv": "osv/",
    "ubuntu": "ubuntu/",
}  # other sets: name + "-", or the name itself
_COUNT = """
SELECT operation.updater, operation.kind, operation.date,
       CASE WHEN operation.kind = 'enrichment'
            THEN (SELECT count(*) FROM uo_enrich WHERE uo = operation.id)
            ELSE (SELECT count(*) FROM uo_vuln WHERE uo = operation.id) END
FROM update_operation operation
JOIN (SELECT max(id) AS id FROM update_operation GROUP BY updater, kind) newest USING (id)
ORDER BY operation.updater
"""


class _Operation(msgspec.Struct):
    ref: str


def updaters(advisories: Advisories, mirror_url: str, directories: Iterable[Path]) -> dict[str, Any]:
    """Return the `updaters` section of Clair's configuration. Sets are always named: others would go online."""
    if advisories.source == "online":
        return {"sets": list(advisories.sets or ALL_SETS)}
    if advisories.source == "bundle":
        return {"sets": []}
    if advisories.source == "mirror":
        url = advisories.url if advisories.url.endswith("/") else advisories.url + "/"
        return _mirrored(url, advisories.sets or ("debian", "osv"), ())
    extra = {"alpine": "alpine", "rhel-vex": "rhel-vex", "clair.cvss": "nvd"}
    sets = {"debian", "osv"} | {
        name for name, folder in extra.items() for directory in directories if (directory / folder).is_dir()
    }
    ecosystems = [name.removeprefix("osv/") for name in mirror.shipped().sources if name.startswith("osv/")]
    return _mirrored(mirror_url, sorted(sets), ecosystems)


def _mirrored(url: str, sets: Iterable[str], ecosystems: Iterable[str]) -> dict[str, Any]:
    osv: dict[str, Any] = {"url": url}
    if ecosystems:
        osv["allowlist"] = list(ecosystems)
    config: dict[str, dict[str, Any]] = {
        "debian": {"mirror_url": url, "json_url": f"{url}tracker/data/json"},
        "osv": osv,
        "alpine": {"url": f"{url}alpine/"},
        "rhel-vex": {"url": f"{url}rhel-vex/"},
        "suse": {"url": f"{url}suse/"},
        "clair.cvss": {"feed_root": f"{url}nvd/"},
    }
    chosen = list(sets)
    return {"sets": chosen, "config": {name: config[name] for name in chosen if name in config}}


def expected(advisories: Advisories, section: dict[str, Any]) -> tuple[str, ...]:
    """Return name prefixes of updaters; loading is over when each has an operation. () for a bundle."""
    if advisories.source == "builtin":
        rest = [name for name in section["sets"] if name not in {"debian", "osv"}]
        return (*sorted(mirror.shipped().sources), *map(_prefix, rest))
    return tuple(_prefix(name) for name in section["sets"])


def _prefix(name: str) -> str:
    if name in {"rhel-vex", "clair.cvss"}:
        return name
    return _UPDATERS.get(name, f"{name}-")


def operations(address: Address, *, seconds: float = 5.0) -> tuple[str, list[str]]:
    """Return a marker for the state of the advisories, and the names of the updaters that have run.

    The marker is made of the operations listed, not of the answer's ETag, which is older when one ends meanwhile.
    Raises `ClairUnavailable`.
    """
    names: list[str] = []
    marks: list[str] = []
    for kind in ("vulnerability", "enrichment"):
        answer = Exchange(address).send("GET", f"{_OPERATIONS}?latest=true&kind={kind}", seconds=seconds)
        try:
            found = msgspec.json.decode(answer.body, type=dict[str, list[_Operation]] | None) or {}
        except msgspec.DecodeError as error:
            raise ClairUnavailable(
                f"Clair ({answer.status}) does not tell its update operations: {error}"
            ) from error
        names += found
        marks += [entry.ref for entries in found.values() for entry in entries]
    return " ".join(sorted(marks)), sorted(names)


def counts(dsn: str, dates: dict[str, datetime]) -> tuple[Loaded, ...]:
    """Return what the matcher's database holds per updater; `dates` are known ages of the data. Raises `StoreError`."""
    try:
        with psycopg.connect(dsn, connect_timeout=5) as link:
            rows = link.execute(_COUNT).fetchall()
    except psycopg.Error as error:
        raise StoreError(f"the advisories cannot be counted: {error}") from error
    return tuple(Loaded(name, kind, count, date, dates.get(name) or date) for name, kind, date, count in rows)


def shipped_dates() -> dict[str, datetime]:
    """Return the age of the shipped advisories by updater."""
    return {name: source.as_of for name, source in mirror.shipped().sources.items()}
