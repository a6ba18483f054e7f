# SPDX-License-Identifier: Apache-2.0
"""What feeds and clocks say of one finding, joined to it; pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import msgspec

from sifgate.model.clocks import LONGEST_NAME, Clocks, FixPlace, Sightings
from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.support import PackageSupport
from sifgate.model.verdict import EndOfLife

_replace = msgspec.structs.replace
_Key = TypeVar("_Key", bound=Hashable)
_NO_SCORE = -1.0
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


class Joins:
    """Joins feeds and clocks to the findings of one image; `day` is the ISO date of its scan."""

    def __init__(self, feeds: Feeds, clocks: Clocks, system: OsRelease, day: str) -> None:
        self._kev, self._epss = feeds.kev, feeds.epss
        self._image, self._site, self._fixes = clocks.image, clocks.site, clocks.fixes
        self._system = system
        self._day = day
        self._packages = feeds.packages.get((system.id, system.version_id))
        self._ended: dict[str, bool] = {}

    def of(self, finding: Finding) -> Finding:
        """Return a finding with what feeds and clocks say of it: the earliest date, the highest probability."""
        name, aliases, fix = finding.vulnerability, finding.aliases, finding.fix_available
        if aliases:
            names = (name, *aliases)
            kev_added = _earliest(self._kev, names)
            epss = max([self._epss.get(each, _NO_SCORE) for each in names])
            image, site = _earliest(self._image, names), _earliest(self._site, names)
        else:  # nearly all: no loop over one name
            kev_added, epss = self._kev.get(name, ""), self._epss.get(name, _NO_SCORE)
            image, site = self._image.get(name, ""), self._site.get(name, "")
        if finding.fixed_version and not fix and self._fixes:
            fix = _earliest(self._fixes, fix_places(finding, self._system))
        return _replace(
            finding,
            kev=kev_added != "",
            kev_added=kev_added,
            epss=epss,
            fix_available=fix,
            first_seen_image=image,
            first_seen_site=site,
            support_ended=None if self._packages is None else self._support_ended(finding, self._packages),
        )

    def _support_ended(self, finding: Finding, packages: PackageSupport) -> bool | None:
        if finding.manager != _DEBIAN:
            return None
        source = finding.source or finding.package
        ended = self._ended.get(source)
        if ended is None:
            ended = self._ended[source] = packages.ended(source, self._day)
        return ended


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
