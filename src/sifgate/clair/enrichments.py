# SPDX-License-Identifier: Apache-2.0
"""CVSS base scores from a report's enrichments (clair.md §4.3); pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sifgate.model.finding import Score, Severity

_MARK = "enricher=clair.cvss"
"""The rest of the key names a schema and has changed before."""
HIGHEST = 10.0
_OLD = "2.0"
"""This version knows neither None nor Critical."""
_BANDS = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))


class _Entry(msgspec.Struct, frozen=True):
    base: float = msgspec.field(name="baseScore", default=-1.0)
    version: str = ""
    vector: str = msgspec.field(name="vectorString", default="")


_WHOLE = msgspec.json.Decoder(dict[str, list[_Entry]])
_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES = msgspec.json.Decoder(list[_Entry])


def cvss_scores(enrichments: Mapping[str, list[msgspec.Raw] | None] | None) -> dict[str, tuple[Score, ...]]:
    """Return the highest base score of each CVSS version by vulnerability id of the report, sorted by version.

    A malformed entry costs its own vulnerability the score and no other one. A score that tells no version has "".
    """
    scores: dict[str, tuple[Score, ...]] = {}
    for key, blobs in (enrichments or {}).items():
        if _MARK not in key:
            continue
        for blob in blobs or []:
            for identity, entries in _decoded(blob).items():
                found = [_score(entry) for entry in entries if 0.0 <= entry.base <= HIGHEST]
                if found:
                    scores[identity] = highest_by_version((*scores.get(identity, ()), *found))
    return scores


def highest_by_version(scores: Iterable[Score]) -> tuple[Score, ...]:
    """Return the highest of each version, sorted by version."""
    best: dict[str, Score] = {}
    for score in scores:
        known = best.get(score.version)
        if known is None or known.score < score.score:
            best[score.version] = score
    return tuple(best[version] for version in sorted(best))


def severity_of_score(score: float, version: str = "3.1") -> Severity:
    """Return the band of a CVSS base score (v3.1 §5, v4.0 §6; NVD's for v2); `UNKNOWN` below 0."""
    if score < 0:
        return Severity.UNKNOWN
    if version == _OLD:
        return min(max(severity_of_score(score), Severity.LOW), Severity.HIGH)
    return next((severity for least, severity in _BANDS if score >= least), Severity.NEGLIGIBLE)


def severity_of_scores(scores: Iterable[Score]) -> Severity:
    """Return the gravest band of several scores; `UNKNOWN` of none."""
    return max((severity_of_score(each.score, each.version) for each in scores), default=Severity.UNKNOWN)


def _score(entry: _Entry) -> Score:
    version = entry.version
    if not version and entry.vector.startswith("CVSS:"):
        version = entry.vector[len("CVSS:") :].partition("/")[0]
    return Score(version=version, score=entry.base)


def _decoded(blob: msgspec.Raw) -> dict[str, list[_Entry]]:
    """Return the entries by vulnerability; those of a vulnerability whose entry is malformed are left out."""
    try:
        return _WHOLE.decode(blob)
    except msgspec.DecodeError:
        pass
    try:
        parts = _PARTS.decode(blob)
    except msgspec.DecodeError:
        return {}
    found = {}
    for identity, part in parts.items():
        try:
            found[identity] = _ENTRIES.decode(part)
        except msgspec.DecodeError:
            continue
    return found
