# SPDX-License-Identifier: Apache-2.0
"""What Clair could see of an image: distribution, advisories for it, package managers (clair.md §4.6); pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from sifgate.clair.ecosystems import (
    SYSTEM,
    manager_of,
    updaters_for_distribution,
    updaters_for_language,
)
from sifgate.clair.schema import Distribution, Environment, UpdateOperation, VulnerabilityReport
from sifgate.model.image import CoverageFacts
from sifgate.model.verdict import Coverage


def coverage_of(
    report: VulnerabilityReport,
    operations: Mapping[str, UpdateOperation],
    facts: CoverageFacts,
    *,
    without: frozenset[tuple[str, str]] = frozenset(),
) -> Coverage:
    """Return what was covered.

    `operations` are the newest ones by updater. `without` names releases (did, version id) that a probe of this Clair
    has shown to have no advisories although their updater ran. Each sentence in `notes` tells of something not seen.
    """
    packages = packages_by_manager(report)
    distribution = recognised(report)
    consulted: dict[str, str] = {}
    notes: list[str] = []
    advisories = False
    if distribution is not None:
        found = _dates(updaters_for_distribution(distribution), operations)
        advisories = bool(found) and (distribution.did, distribution.version_id) not in without
        advisories = advisories and (distribution.did != "rhel" or _has_repositories(report))
        consulted |= found
    notes += _notes_on_system(distribution, packages, facts, advisories=advisories)
    for manager in sorted(packages):
        pattern = updaters_for_language(manager)
        found = _dates(pattern, operations)
        consulted |= found
        if pattern is not None and not found:
            notes.append(f"no advisories are loaded for {packages[manager]} {manager} packages")
    return Coverage(
        distribution=describe(distribution),
        advisories=advisories,
        packages=dict(sorted(packages.items())),
        updaters=dict(sorted(consulted.items())),
        notes=tuple(notes),
    )


def recognised(report: VulnerabilityReport) -> Distribution | None:
    """Return the distribution that Clair recognised; of several the one that most system packages belong to."""
    distributions = report.distributions or {}
    if not distributions:
        return None
    used = Counter(
        entry.distribution_id for entry in _environments(report) if entry.distribution_id in distributions
    )
    best = max(distributions, key=lambda name: (used[name], name))
    return distributions[best]


def packages_by_manager(report: VulnerabilityReport) -> dict[str, int]:
    """Return how many packages each manager told of; sources that Clair lists beside binaries are not counted."""
    environments = report.environments or {}
    counts: Counter[str] = Counter()
    for identity, package in (report.packages or {}).items():
        if package.kind.lower() == "source":
            continue
        counts.update({manager_of(entry.package_db) for entry in environments.get(identity, [])})
    return dict(counts)


def describe(distribution: Distribution | None) -> str:
    """Return the name that people know; empty if none was recognised."""
    if distribution is None:
        return ""
    return distribution.pretty_name or f"{distribution.name} {distribution.version}".strip()


def _notes_on_system(
    distribution: Distribution | None, packages: Mapping[str, int], facts: CoverageFacts, *, advisories: bool
) -> list[str]:
    notes = []
    named = facts.os_release.pretty_name or facts.os_release.id
    if not packages:
        notes.append("the scanner found no packages at all")
    if distribution is None:
        notes.append(
            f"the scanner does not know the distribution {named}"
            if named
            else "no distribution was recognised"
        )
    elif not advisories:
        notes.append(f"no advisories are loaded for {describe(distribution)}")
    unseen = sorted(SYSTEM.intersection(facts.managers) - set(packages))
    notes += [f"{manager} package data exist, but the scanner found no package in them" for manager in unseen]
    return notes


def _dates(pattern: re.Pattern[str] | None, operations: Mapping[str, UpdateOperation]) -> dict[str, str]:
    if pattern is None:
        return {}
    return {name: operation.date for name, operation in operations.items() if pattern.fullmatch(name)}


def _has_repositories(report: VulnerabilityReport) -> bool:
    """Return whether some rpm package has a repository: Red Hat's advisories are joined by it alone (clair.md §4.5)."""
    return any(
        entry.repository_ids for entry in _environments(report) if manager_of(entry.package_db) == "rpm"
    )


def _environments(report: VulnerabilityReport) -> list[Environment]:
    return [entry for entries in (report.environments or {}).values() for entry in entries]
