# SPDX-License-Identifier: Apache-2.0
"""Several advisories on one vulnerability in one package, as one finding; pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sifgate.model.finding import Finding, Rating, Score, Severity

_ORDER = ("distro", "ghsa", "cna", "nvd")
"""Whose word counts first in `Finding.severity`; a policy may have another order."""


def one_each(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each (package, vulnerability) pair, in the order that makes equal facts equal bytes."""
    pairs: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        key = (finding.vulnerability, finding.package, finding.version, finding.arch, finding.path)
        other = pairs.get(key)
        pairs[key] = finding if other is None else _merged(finding, other)
    return [pairs[key] for key in sorted(pairs)]


def _merged(one: Finding, two: Finding) -> Finding:
    """Return the graver of two advisories on one pair, with what only the other knows."""
    first, second = sorted((one, two), key=_rank)
    ratings = _ratings(first.ratings, second.ratings)
    said = {rating.source: rating.severity for rating in ratings}
    return msgspec.structs.replace(
        first,
        severity=next((said[source] for source in _ORDER if source in said), first.severity),
        aliases=tuple(sorted({*first.aliases, *second.aliases})),
        fixed_version=first.fixed_version or second.fixed_version,
        fix_available=min(filter(None, (first.fix_available, second.fix_available)), default=""),
        cvss=max(first.cvss, second.cvss),
        ratings=ratings,
        scores=_scores((*first.scores, *second.scores)),
        published=first.published or second.published,
        link=first.link or second.link,
    )


def _ratings(one: tuple[Rating, ...], two: tuple[Rating, ...]) -> tuple[Rating, ...]:
    """Return one rating of each source, the graver one where two advisories of a source differ."""
    gravest: dict[str, Rating] = {}
    for rating in (*one, *two):
        known = gravest.get(rating.source)
        if known is None or known.severity < rating.severity:
            gravest[rating.source] = rating
    return tuple(gravest[source] for source in sorted(gravest))


def _scores(scores: tuple[Score, ...]) -> tuple[Score, ...]:
    highest: dict[str, float] = {}
    for score in scores:
        highest[score.version] = max(score.score, highest.get(score.version, -1.0))
    return tuple(Score(version=version, score=highest[version]) for version in sorted(highest))


def _rank(finding: Finding) -> tuple[int | bool | str | Severity, ...]:
    return (-finding.severity, not finding.fixable, finding.updater, finding.fixed_version)
