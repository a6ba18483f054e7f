# SPDX-License-Identifier: Apache-2.0
"""Findings out of a report: what counts and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.fakes.clair import debian_report

from sifgate.clair import schema
from sifgate.clair.findings import findings_of
from sifgate.model.finding import Finding, Rating, Score, Severity


def report(**changes: Any) -> schema.VulnerabilityReport:
    """Return the fake's report with some members changed."""
    return schema.decode_report(json.dumps({"manifest_hash": "x", **debian_report(), **changes}).encode())


def test_one_pair_becomes_one_finding() -> None:
    """An id that repeats is taken once; every member is filled from where Clair writes it."""
    assert findings_of(report()) == (
        Finding(
            vulnerability="CVE-2025-48384",
            package="git",
            version="1:2.30.2-1",
            severity=Severity.HIGH,
            ratings=(Rating("distro", Severity.HIGH),),
            source="git",
            arch="amd64",
            manager="dpkg",
            fixed_version="1:2.30.2-1+deb11u5",
            published="2025-07-08",
            link="https://security-tracker.debian.org/tracker/CVE-2025-48384",
            path="var/lib/dpkg/status",
            updater="debian/updater",
        ),
    )


def test_statements_that_nothing_is_affected_are_no_findings() -> None:
    """Inverted VEX statements stand among the vulnerabilities, but no package has them (claircore ≥ 1.5.53)."""
    inverted = {"99": {"id": "99", "name": "CVE-2024-99999", "Invert": True, "Self": "x", "Aliases": []}}
    vulnerabilities = {**debian_report()["vulnerabilities"], **inverted}
    found = findings_of(report(vulnerabilities=vulnerabilities, PackageNotVulnerable={"1": ["99"]}))
    assert [finding.vulnerability for finding in found] == ["CVE-2025-48384"]


def test_a_pair_that_the_report_does_not_describe_is_kept() -> None:
    """Half an answer must not look like none."""
    found = findings_of(report(package_vulnerabilities={"5": ["6"], "7": None}))
    assert [(finding.package, finding.vulnerability) for finding in found] == [("5", "6")]


def test_severity_falls_back_to_the_score_only_where_nobody_judged() -> None:
    """The distribution's word wins; `Unknown` and words that nobody knows are replaced by the band of the score."""
    key = "message; enricher=clair.cvss schema=none"
    scores = {key: [{"77": [{"baseScore": 9.8}]}]}
    for word, expected in (
        ("Low", Severity.LOW),
        ("Unknown", Severity.CRITICAL),
        ("HIGH", Severity.HIGH),
        ("?", Severity.CRITICAL),
    ):
        vulnerability = {**debian_report()["vulnerabilities"]["77"], "normalized_severity": word}
        (found,) = findings_of(report(enrichments=scores, vulnerabilities={"77": vulnerability}))
        assert (found.severity, found.cvss) == (expected, 9.8)


def test_an_unknown_date_is_no_date() -> None:
    """Go's zero time is not the year one."""
    vulnerability = {
        **debian_report()["vulnerabilities"]["77"],
        "issued": "0001-01-01T00:00:00Z",
        "links": "javascript:x",
    }
    (found,) = findings_of(report(vulnerabilities={"77": vulnerability}))
    assert (found.published, found.link) == ("", "")


def test_null_members_are_empty_ones() -> None:
    """Go writes null for an empty map or list."""
    empty = dict.fromkeys(
        ("packages", "distributions", "repository", "environments", "vulnerabilities"), None
    )
    assert findings_of(report(**empty, package_vulnerabilities=None, enrichments=None)) == ()


KEY = "message; enricher=clair.cvss schema=none"


def told(updater: str, word: str, **members: Any) -> Finding:
    """Return the finding of an advisory that one updater brought, with a score of NVD's of 9.8."""
    vulnerability = {
        **debian_report()["vulnerabilities"]["77"],
        "updater": updater,
        "normalized_severity": word,
        **members,
    }
    scores = {KEY: [{"77": [{"version": "3.1", "baseScore": 9.8}]}]}
    (found,) = findings_of(report(enrichments=scores, vulnerabilities={"77": vulnerability}))
    return found


@pytest.mark.parametrize(
    ("updater", "word", "ratings"),
    [
        ("debian/updater", "Low", (Rating("distro", Severity.LOW), Rating("nvd", Severity.CRITICAL))),
        ("rhel-vex", "Medium", (Rating("distro", Severity.MEDIUM), Rating("nvd", Severity.CRITICAL))),
        ("osv/pypi", "High", (Rating("ghsa", Severity.HIGH), Rating("nvd", Severity.CRITICAL))),
        ("debian/updater", "Unknown", (Rating("nvd", Severity.CRITICAL),)),
        ("osv/go", "", (Rating("nvd", Severity.CRITICAL),)),
    ],
)
def test_each_source_says_its_own(updater: str, word: str, ratings: tuple[Rating, ...]) -> None:
    """A distribution's word, OSV's and NVD's band stand beside each other; `Unknown` is no word."""
    found = told(updater, word)
    assert (found.ratings, found.scores) == (ratings, (Score("3.1", 9.8),))
    assert found.severity is (Severity.parse(word) or Severity.CRITICAL)


@pytest.mark.parametrize(
    ("updater", "fixed", "date"),
    [
        ("oracle-2025-updater", "2.0-1", "2025-07-08"),
        ("aws-AL2023-updater", "2.0-1", "2025-07-08"),
        ("oracle-2025-updater", "", ""),
        ("debian/updater", "2.0-1", ""),
        ("osv/pypi", "fixed=2.0", ""),
        ("rhel-vex", "2.0-1", ""),
    ],
)
def test_only_errata_tell_since_when_there_is_a_fix(updater: str, fixed: str, date: str) -> None:
    """Errata are issued with the fix; the date of all other advisories is that of the flaw, and is not taken for it."""
    assert told(updater, "High", fixed_in_version=fixed).fix_available == date


def test_one_advisory_on_many_packages_says_the_same_of_each() -> None:
    """What is read once is told of every package."""
    packages = {str(number): {"id": str(number), "name": f"p{number}", "version": "1"} for number in range(3)}
    pairs = {name: ["77"] for name in packages}
    found = findings_of(report(packages=packages, package_vulnerabilities=pairs))
    assert [(each.package, each.vulnerability) for each in found] == [
        (f"p{number}", "CVE-2025-48384") for number in range(3)
    ]
