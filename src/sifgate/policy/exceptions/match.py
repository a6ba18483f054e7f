# SPDX-License-Identifier: Apache-2.0
"""Which exception holds for a finding in a launch at a moment; pure.

The index is built once for a policy. For one decision the exceptions that are in force for the launch are chosen
first, which are few; then every finding costs one look-up by its names.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime

from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.launch import LaunchEvent
from sifgate.model.naming import speaks_of, spellings
from sifgate.model.purl import PACKAGE_FACTS
from sifgate.model.verdict import ScanState, Verdict
from sifgate.policy.conditions.family import Truth
from sifgate.policy.conditions.package import PackageCondition
from sifgate.policy.exceptions.candidates import Candidates
from sifgate.policy.exceptions.document import FIX_AVAILABLE, PolicyException

_WILD = re.compile(r"[*?\[]")
Excepted = list[tuple[Finding, PolicyException]]
_NO_VERDICT = Verdict(fingerprint="", state=ScanState.KNOWN)


class _Named:
    """An exception and what is computed of it once."""

    def __init__(self, exception: PolicyException) -> None:
        self.exception = exception
        self.begins, self.ends = exception.begins, exception.ends
        self.names = frozenset[str]().union(*map(spellings, exception.vulnerabilities))
        self.scoped = bool(exception.scope.launch_fields())
        self.until_fix = exception.until == FIX_AVAILABLE
        self.package = exception.package
        self.packages = () if self.names else _literal(exception.package)

    def in_force(self, launch: LaunchEvent, now: datetime) -> bool:
        """Return whether date and scope fit."""
        if self.begins > now or (self.ends is not None and self.ends <= now):
            return False
        return not self.scoped or self.exception.scope.holds(launch)


class Active:
    """The exceptions of a policy, ready to be asked."""

    def __init__(self, exceptions: Iterable[PolicyException]) -> None:
        """Order them so that of several that hold the one that lasts longest is named; ties by id."""
        ordered = sorted(exceptions, key=lambda each: (-each.expires.toordinal(), each.id))
        self._all = tuple(map(_Named, ordered))
        self._candidates = Candidates(each.scope for each in ordered)
        instants = {at for each in self._all for at in (each.begins, each.ends) if at is not None}
        self._instants = tuple(sorted(instants))

    def clocks(self, now: datetime) -> tuple[datetime, ...]:
        """Return the next instant after `now` at which one of them begins or ends; none where all have ended."""
        ahead = bisect_right(self._instants, now)
        return self._instants[ahead : ahead + 1]

    def of(
        self, finding: Finding, launch: LaunchEvent, now: datetime, verdict: Verdict = _NO_VERDICT
    ) -> PolicyException | None:
        """Return the exception that holds for a finding, None for none; `verdict` tells its package URL."""
        _, excepted = self.partition((finding,), verdict, launch, now)
        return excepted[0][1] if excepted else None

    def partition(
        self, findings: Iterable[Finding], verdict: Verdict, launch: LaunchEvent, now: datetime
    ) -> tuple[list[Finding], Excepted]:
        """Return the findings that count, and those that do not with their exception, in their order."""
        perhaps = map(self._all.__getitem__, self._candidates.of(launch))
        holding = [each for each in perhaps if each.in_force(launch, now)]
        if not holding:
            return list(findings), []
        chosen = _Chosen(holding, verdict.os_release)
        names, packages, unnamed = chosen.by_name, chosen.by_package, bool(chosen.unnamed)
        strangers = names.keys().isdisjoint
        counted: list[Finding] = []
        excepted: Excepted = []
        for finding in findings:  # 5,000 of them: most are told apart here, without a call
            aliases = finding.aliases
            if (
                finding.vulnerability in names
                or unnamed
                or (aliases and not strangers(aliases))
                or (packages and (finding.package in packages or finding.source in packages))
            ):
                exception = chosen.of(finding)
                if exception is not None:
                    excepted.append((finding, exception))
                    continue
            counted.append(finding)
        return counted, excepted


class _Chosen:
    """The exceptions that are in force for one launch."""

    def __init__(self, holding: list[_Named], os_release: OsRelease) -> None:
        self._os_release = os_release
        self.by_name: dict[str, list[_Named]] = {}
        self.by_package: dict[str, list[_Named]] = {}
        """Those without a vulnerability that name packages exactly."""
        self.unnamed: list[_Named] = []
        """Those without a vulnerability that name packages by pattern or package URL."""
        for each in holding:
            for name in each.names:
                self.by_name.setdefault(name, []).append(each)
            for package in each.packages:
                self.by_package.setdefault(package, []).append(each)
            if not each.names and not each.packages:
                self.unnamed.append(each)
        self._rank = {id(each): place for place, each in enumerate(holding)}
        self._fitting: dict[object, list[_Named]] = {}

    def of(self, finding: Finding) -> PolicyException | None:
        """Return the first exception that holds, in their order."""
        candidates = self.by_name.get(finding.vulnerability, [])
        if finding.aliases or self.by_package or self.unnamed:
            every = {id(each): each for each in (*candidates, *self._others(finding))}
            candidates = sorted(every.values(), key=lambda each: self._rank[id(each)])
        for each in candidates:
            if self._holds(each, finding):
                return each.exception
        return None

    def _others(self, finding: Finding) -> Iterator[_Named]:
        """Yield those that may hold by another name of the flaw, or by the package."""
        for name in finding.aliases:
            yield from self.by_name.get(name, ())
        for package in {finding.package, finding.source}:
            yield from self.by_package.get(package, ())
        if self.unnamed:
            key = (*PACKAGE_FACTS(finding), finding.path)
            if key not in self._fitting:
                self._fitting[key] = [each for each in self.unnamed if self._fits(each, finding)]
            yield from self._fitting[key]

    def _holds(self, each: _Named, finding: Finding) -> bool:
        if each.until_fix and finding.fixable:
            return False
        if each.names and not speaks_of(each.names, finding):
            return False
        return self._fits(each, finding)

    def _fits(self, each: _Named, finding: Finding) -> bool:
        return each.package is None or each.package.fits(finding, self._os_release) is Truth.TRUE


def _literal(package: PackageCondition | None) -> tuple[str, ...]:
    """Return the names of which a package must have one, itself or as its source; empty where that is not said."""
    named = () if package is None else package.either or package.name
    return () if any(_WILD.search(name) for name in named) else named
