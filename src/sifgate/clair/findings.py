# SPDX-License-Identifier: Apache-2.0
"""A vulnerability report as findings in sifgate's words, one for each (package, vulnerability) pair; pure.

Joins with feeds are not made here: `sifgate.verdict` does that, and knows nothing of Clair.
"""

from __future__ import annotations

from sifgate.clair.ecosystems import manager_of
from sifgate.clair.enrichments import cvss_scores, severity_of_score
from sifgate.clair.identifiers import fixed_version, name_and_aliases
from sifgate.clair.schema import Environment, Package, Vulnerability, VulnerabilityReport
from sifgate.model.finding import Finding, Severity

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
    found = []
    for package_id, identities in (report.package_vulnerabilities or {}).items():
        package = packages.get(package_id) or Package(id=package_id, name=package_id)
        places = environments.get(package_id) or [_NOWHERE]
        for identity in dict.fromkeys(identities or []):
            vulnerability = vulnerabilities.get(identity) or Vulnerability(id=identity, name=identity)
            found.append(_finding(package, places[0], vulnerability, scores.get(identity, -1.0)))
    return tuple(found)


def _finding(package: Package, place: Environment, vulnerability: Vulnerability, cvss: float) -> Finding:
    name, aliases = name_and_aliases(vulnerability.name, vulnerability.links)
    return Finding(
        vulnerability=name,
        package=package.name,
        version=package.version,
        severity=_severity(vulnerability, cvss),
        aliases=aliases,
        source=package.source.name if package.source else "",
        arch=package.arch,
        manager=manager_of(place.package_db),
        fixed_version=fixed_version(vulnerability.fixed_in_version),
        cvss=cvss,
        published="" if vulnerability.issued.startswith(_NO_YEAR) else vulnerability.issued[:_DATE],
        link=_link(vulnerability.links),
        path=_path(place.package_db),
        updater=vulnerability.updater,
    )


def _severity(vulnerability: Vulnerability, cvss: float) -> Severity:
    """Return the distribution's own judgement; where it gives none, the band of the CVSS score.

    Not the higher of both: a distribution that calls a flaw unimportant has looked at its own build.
    """
    return Severity.parse(vulnerability.normalized_severity) or severity_of_score(cvss)


def _link(links: str) -> str:
    web = [link for link in links.split() if link.startswith(("https://", "http://"))]
    return web[0] if web else ""


def _path(package_db: str) -> str:
    kind, colon, rest = package_db.partition(":")
    return rest if colon and kind.isalpha() else package_db
