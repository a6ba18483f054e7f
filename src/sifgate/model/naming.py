# SPDX-License-Identifier: Apache-2.0
"""Whether what is said of some identifiers is said of a finding, which may have several; pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from sifgate.model.finding import Finding


def spellings(identifier: str) -> frozenset[str]:
    """Return the ways in which sources write an identifier: as given, upper case, GHSA's lower-case tail."""
    upper = identifier.upper()
    tail = f"GHSA-{upper[5:].lower()}" if upper.startswith("GHSA-") else upper
    return frozenset({identifier, upper, tail})


def speaks_of(named: AbstractSet[str], finding: Finding) -> bool:
    """Return whether one who names these identifiers speaks of the whole finding; `named` has all spellings.

    Any of its names will do, but an advisory that repairs several CVEs at once (USN, RHSA) is one finding with all of
    them as aliases: there its own name is needed, or every one of the CVEs.
    """
    own = finding.vulnerability
    if not finding.aliases:
        return own in named
    if own not in named and named.isdisjoint(finding.aliases):
        return False
    cves = {name for name in (own, *finding.aliases) if name.startswith("CVE-")}
    if len(cves) <= 1:
        return True
    return (own in named and own not in cves) or cves <= named
