# SPDX-License-Identifier: Apache-2.0
"""CVSS base scores from a report's enrichments (clair.md §4.3); pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sifgate.model.finding import Severity

_MARK = "enricher=clair.cvss"
"""The rest of the key names a schema and has changed before."""
HIGHEST = 10.0


class _Score(msgspec.Struct, frozen=True):
    base: float = msgspec.field(name="baseScore", default=-1.0)


_DECODER = msgspec.json.Decoder(dict[str, list[_Score]])


def cvss_scores(enrichments: Mapping[str, list[msgspec.Raw] | None] | None) -> dict[str, float]:
    """Return the highest base score by vulnerability id of the report; malformed entries count as absent."""
    scores: dict[str, float] = {}
    for key, blobs in (enrichments or {}).items():
        if _MARK not in key:
            continue
        for blob in blobs or []:
            for identity, entries in _decoded(blob).items():
                valid = [entry.base for entry in entries if 0.0 <= entry.base <= HIGHEST]
                if valid:
                    scores[identity] = max(*valid, scores.get(identity, -1.0))
    return scores


def severity_of_score(score: float) -> Severity:
    """Return the band of a CVSS v3/v4 base score (CVSS v3.1 §5); `UNKNOWN` below 0."""
    if score < 0:
        return Severity.UNKNOWN
    bounds = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
    return next((severity for least, severity in bounds if score >= least), Severity.NEGLIGIBLE)


def _decoded(blob: msgspec.Raw) -> dict[str, list[_Score]]:
    try:
        return _DECODER.decode(blob)
    except msgspec.DecodeError:
        return {}
