# SPDX-License-Identifier: Apache-2.0
"""A vulnerability report as findings in sifgate's words, one for each (package, vulnerability) pair; pure.

Joins with feeds are not made here: `sifgate.verdict` does that, and knows nothing of Clair.
"""

from __future__ import annotations

from typing import Any

from sifgate.clair.ecosystems import manager_of
from sifgate.clair.enrichments import cvss_scores, severity_of_scores
from sifgate.clair.identifiers import aliases_told, fixed_version, name_and_aliases
from sifgate.clair.ratings import issued_with_fix, ratings_of
from sifgate.clair.schema import Environment, Package, Vulnerability, VulnerabilityReport
from sifgate.model.finding import Finding, Score, Severity

_NOWHERE = Environment()
_NO_YEAR = "0001-"
"""Go's zero time: the date is not known."""
_DATE = len("2026-01-02")


def findings_of(report: VulnerabilityReport) -> tuple[Finding, ...]:
    """Return every pair that `package_vulnerabilities` names, unsorted, ids that repeat taken once.

    A pair whose package or vulnerability the report does not describe is kept under its bare id: half an answer must
    not look like none.
    """
    packages = report.packages or {}
    vulnerabilities = report.vulnerabilities or {}
    environments = report.environments or {}
    scores = cvss_scores(report.enrichments)
    told: dict[str, dict[str, Any]] = {}
    found = []
    for package_id, identities in (report.package_vulnerabilities or {}).items():
        package = packages.get(package_id) or Package(id=package_id, name=package_id)
        places = environments.get(package_id) or [_NOWHERE]
        where = _of_package(package, places[0])
        for identity in dict.fromkeys(identities or []):
            what = told.get(identity)
            if what is None:  # one advisory concerns many packages: its texts are read once
                vulnerability = vulnerabilities.get(identity) or Vulnerability(id=identity, name=identity)
                what = told[identity] = _of_vulnerability(vulnerability, scores.get(identity, ()))
            found.append(Finding(**what, **where))
    return tuple(found)


def _of_package(package: Package, place: Environment) -> dict[str, Any]:
    return {
        "package": package.name,
        "version": package.version,
        "source": package.source.name if package.source else "",
        "arch": package.arch,
        "manager": manager_of(place.package_db),
        "path": _path(place.package_db),
    }


def _of_vulnerability(vulnerability: Vulnerability, scores: tuple[Score, ...]) -> dict[str, Any]:
    told = aliases_told(vulnerability.aliases)
    name, aliases = name_and_aliases(vulnerability.name, vulnerability.links, told)
    fixed = fixed_version(vulnerability.fixed_in_version)
    issued = "" if vulnerability.issued.startswith(_NO_YEAR) else vulnerability.issued[:_DATE]
    nvd = severity_of_scores(scores)
    return {
        "vulnerability": name,
        "aliases": aliases,
        # Not the higher of both: a distribution that calls a flaw unimportant has looked at its own build.
        "severity": Severity.parse(vulnerability.normalized_severity) or nvd,
        "ratings": ratings_of(vulnerability.updater, vulnerability.normalized_severity, nvd),
        "scores": scores,
        "cvss": max((score.score for score in scores), default=-1.0),
        "fixed_version": fixed,
        "fix_available": issued if fixed and issued_with_fix(vulnerability.updater) else "",
        "published": issued,
        "link": _link(vulnerability.links),
        "updater": vulnerability.updater,
    }


def _link(links: str) -> str:
    web = [link for link in links.split() if link.startswith(("https://", "http://"))]
    return web[0] if web else ""


def _path(package_db: str) -> str:
    kind, colon, rest = package_db.partition(":")
    return rest if colon and kind.isalpha() else package_db
