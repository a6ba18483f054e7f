# SPDX-License-Identifier: Apache-2.0
"""Who says what of a vulnerability's severity, as far as a report tells; pure.

Clair tells of two: the advisory's own source, and NVD's score. A CNA's own score is in none of its data.
"""

from __future__ import annotations

from functools import lru_cache

from sifgate.model.finding import Rating, Severity

_LIBRARIES = "osv/"
"""Updaters whose advisories are those of GitHub and of the languages' own databases, joined by OSV."""
_ERRATA = ("oracle-", "aws-")
"""Updaters whose advisories are errata: they are issued with the packages that repair (claircore oracle, aws)."""


def ratings_of(updater: str, word: str, nvd: Severity) -> tuple[Rating, ...]:
    """Return what each source says, sorted by source; a source that says `Unknown` says nothing.

    `word` is the severity that the updater's advisory gives, `nvd` the band of NVD's score.
    """
    own = Severity.parse(word)
    source = "ghsa" if updater.startswith(_LIBRARIES) else "distro"
    return _ratings(source, own, nvd)


def issued_with_fix(updater: str) -> bool:
    """Return whether the date of this updater's advisories is the one at which their fixed packages came out."""
    return updater.startswith(_ERRATA)


@lru_cache(maxsize=128)
def _ratings(source: str, own: Severity, nvd: Severity) -> tuple[Rating, ...]:
    told = ((source, own), ("nvd", nvd))
    return tuple(
        Rating(source=name, severity=severity) for name, severity in told if severity is not Severity.UNKNOWN
    )
