# SPDX-License-Identifier: Apache-2.0
"""Findings out of a report: what counts and what does not."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.clair import debian_report

from sifgate.clair import schema
from sifgate.clair.findings import findings_of
from sifgate.model.finding import Finding, Severity


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
