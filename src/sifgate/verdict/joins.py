# SPDX-License-Identifier: Apache-2.0
"""What feeds and clocks say of one finding, joined to it; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from sifgate.model.clocks import LONGEST_NAME, Clocks, FixPlace, Sightings
from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.support import PackageSupport
from sifgate.model.verdict import EndOfLife

_replace = msgspec.structs.replace
_Key = TypeVar("_Key", bound=Hashable)
_DEBIAN = "dpkg"
_OF_THE_SYSTEM = frozenset({"apk", "dpkg", "rpm"})


class Feeds(msgspec.Struct, frozen=True):
    """What is joined to a scan."""

    kev: Mapping[str, str] = {}
    """ISO date of listing by CVE."""
    support: Mapping[tuple[str, str], EndOfLife] = {}
    """Support dates by (os-release ID, VERSION_ID)."""
    epss: Mapping[str, float] = {}
    """Probability of exploitation by CVE."""
    packages: Mapping[tuple[str, str], PackageSupport] = {}
    """Packages whose support ended early, by (os-release ID, VERSION_ID)."""


class _Known(NamedTuple):
    """What is known of a vulnerability, whatever package has it."""

    kev_added: str
    epss: float
    first_seen_image: str
    first_seen_site: str


class Joins:
    """Joins feeds and clocks to the findings of one image; `day` is the ISO date of its scan."""

    def __init__(self, feeds: Feeds, clocks: Clocks, system: OsRelease, day: str) -> None:
        self._feeds = feeds
        self._clocks = clocks
        self._system = system
        self._day = day
        self._packages = feeds.packages.get((system.id, system.version_id))
        self._by_name: dict[tuple[str, tuple[str, ...]], _Known] = {}
        self._ended: dict[str, bool] = {}

    def of(self, finding: Finding) -> Finding:
        """Return a finding with what feeds and clocks say of it."""
        key = (finding.vulnerability, finding.aliases)
        known = self._by_name.get(key)
        if known is None:
            known = self._by_name[key] = self._known((finding.vulnerability, *finding.aliases))
        fix = finding.fix_available
        if finding.fixed_version and not fix:
            fix = _earliest(self._clocks.fixes, fix_places(finding, self._system))
        kev_added, epss, image, site = known
        return _replace(
            finding,
            kev=bool(kev_added),
            kev_added=kev_added,
            epss=epss,
            fix_available=fix,
            first_seen_image=image,
            first_seen_site=site,
            support_ended=self._support_ended(finding),
        )

    def _support_ended(self, finding: Finding) -> bool | None:
        if self._packages is None or finding.manager != _DEBIAN:
            return None
        source = finding.source or finding.package
        ended = self._ended.get(source)
        if ended is None:
            ended = self._ended[source] = self._packages.ended(source, self._day)
        return ended

    def _known(self, names: tuple[str, ...]) -> _Known:
        """Return what is known under any of the names: the earliest date, the highest probability."""
        feeds, clocks = self._feeds, self._clocks
        return _Known(
            kev_added=_earliest(feeds.kev, names),
            epss=max([feeds.epss.get(name, -1.0) for name in names]),
            first_seen_image=_earliest(clocks.image, names),
            first_seen_site=_earliest(clocks.site, names),
        )


def sightings(findings: tuple[Finding, ...], system: OsRelease) -> Sightings:
    """Return what of a scan has a clock: every name and every fix, but names that no database could keep."""
    names = {name for finding in findings for name in (finding.vulnerability, *finding.aliases)}
    fixes = {
        place
        for finding in findings
        if finding.fixed_version and not finding.fix_available
        for place in fix_places(finding, system)
    }
    return Sightings(
        names=frozenset(filter(_has_clock, names)),
        fixes=frozenset(FixPlace(*place) for place in fixes if all(map(_has_clock, place))),
    )


def fix_places(finding: Finding, system: OsRelease) -> tuple[tuple[str, str, str], ...]:
    """Return the `FixPlace`s under which a fix for this finding is remembered: one for each name it has."""
    package = finding.source or finding.package
    place = f"{system.id} {system.version_id}" if finding.manager in _OF_THE_SYSTEM else finding.manager
    if not finding.aliases:
        return ((finding.vulnerability, package, place),)
    return tuple([(name, package, place) for name in (finding.vulnerability, *finding.aliases)])


def _earliest(dates: Mapping[_Key, str], keys: tuple[_Key, ...]) -> str:
    if len(keys) == 1:  # nearly all; most have no date at all
        return dates.get(keys[0], "")
    return min([dates[key] for key in keys if key in dates], default="")


def _has_clock(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and "\0" not in name
