# SPDX-License-Identifier: Apache-2.0
"""Several advisories on one vulnerability in one package, as one finding; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from sifgate.model.finding import Finding, Rating, Score

_ORDER = ("distro", "ghsa", "cna", "nvd")
"""Whose word counts first in `Finding.severity`; a policy may have another order."""
_TOTAL = msgspec.json.Encoder()


def one_each(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each (package, vulnerability) pair, in the order that makes equal facts equal bytes."""
    pairs: dict[tuple[str, ...], Finding] = {}
    more: defaultdict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for finding in findings:
        key = (finding.vulnerability, finding.package, finding.version, finding.arch, finding.path)
        if pairs.setdefault(key, finding) is not finding:
            more[key].append(finding)
    for pair, others in more.items():
        pairs[pair] = _merged([pairs[pair], *others])
    return [pairs[key] for key in sorted(pairs)]


def _merged(advisories: list[Finding]) -> Finding:
    """Return the gravest of several advisories on one pair, with what only the others know.

    All at once and in a total order: merged two by two, the result would depend on who comes first.
    """
    ordered = sorted(advisories, key=_rank)
    ratings = _gravest(rating for each in ordered for rating in each.ratings)
    return msgspec.structs.replace(
        ordered[0],
        severity=next(
            (ratings[source].severity for source in _ORDER if source in ratings), ordered[0].severity
        ),
        aliases=tuple(sorted({alias for each in ordered for alias in each.aliases})),
        fixed_version=_first(each.fixed_version for each in ordered),
        fix_available=min(filter(None, (each.fix_available for each in ordered)), default=""),
        cvss=max(each.cvss for each in ordered),
        ratings=tuple(ratings[source] for source in sorted(ratings)),
        scores=_highest(score for each in ordered for score in each.scores),
        published=_first(each.published for each in ordered),
        link=_first(each.link for each in ordered),
    )


def _gravest(ratings: Iterable[Rating]) -> dict[str, Rating]:
    """Return one rating of each source, the graver one where two advisories of a source differ."""
    gravest: dict[str, Rating] = {}
    for rating in ratings:
        known = gravest.get(rating.source)
        if known is None or known.severity < rating.severity:
            gravest[rating.source] = rating
    return gravest


def _highest(scores: Iterable[Score]) -> tuple[Score, ...]:
    highest: dict[str, float] = {}
    for score in scores:
        highest[score.version] = max(score.score, highest.get(score.version, -1.0))
    return tuple(Score(version=version, score=highest[version]) for version in sorted(highest))


def _first(words: Iterable[str]) -> str:
    return next(filter(None, words), "")


def _rank(finding: Finding) -> tuple[int, bool, str, str, bytes]:
    """Return what orders advisories: the gravest first, then those that know a fix; the rest makes it total."""
    return (
        -finding.severity,
        not finding.fixable,
        finding.updater,
        finding.fixed_version,
        _TOTAL.encode(finding),
    )
