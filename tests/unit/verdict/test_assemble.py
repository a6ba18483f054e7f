# SPDX-License-Identifier: Apache-2.0
"""Verdicts: states, joins, one finding for each pair, equal facts in equal bytes."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.model.finding import Finding, Rating, Score, Severity
from sifgate.model.image import CoverageFacts, OsRelease
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Verdict
from sifgate.verdict import digest
from sifgate.verdict.assemble import Scan, assemble, failed
from sifgate.verdict.joins import Feeds

NOW = "2026-01-02T03:04:05Z"
COVERED = Coverage(distribution="Debian GNU/Linux 11 (bullseye)", advisories=True, packages={"dpkg": 333})
DEBIAN = CoverageFacts(os_release=OsRelease(id="debian", version_id="11"), managers=("dpkg",))
FEEDS = Feeds(
    kev={"CVE-2025-48384": "2025-08-25"},
    support={("debian", "11"): EndOfLife(product="Debian 11", eol="2024-08-14", lts="2026-08-31")},
)
GIT = Finding(vulnerability="CVE-2025-48384", package="git", version="1", severity=Severity.HIGH)


def verdict(
    *findings: Finding, coverage: Coverage = COVERED, facts: CoverageFacts = DEBIAN, feeds: Feeds = FEEDS
) -> Verdict:
    """Return the verdict of a scan."""
    scan = Scan(fingerprint="f" * 64, facts=facts, coverage=coverage, findings=findings)
    return assemble(scan, feeds, Generation(id="g"), NOW)


def changed(facts: CoverageFacts = DEBIAN, **members: tuple[str, ...]) -> CoverageFacts:
    """Return facts with other members."""
    return msgspec.structs.replace(facts, **members)


def lacking(**members: object) -> Coverage:
    """Return a coverage with other members."""
    return msgspec.structs.replace(COVERED, **members)


@pytest.mark.parametrize(
    ("coverage", "facts", "state", "detail"),
    [
        (COVERED, DEBIAN, ScanState.KNOWN, ""),
        (lacking(distribution="", notes=("unknown Rocky",)), DEBIAN, ScanState.UNSUPPORTED, "unknown Rocky"),
        (lacking(advisories=False, notes=("none loaded",)), DEBIAN, ScanState.UNSUPPORTED, "none loaded"),
        (lacking(packages={}, notes=("no packages",)), DEBIAN, ScanState.UNSUPPORTED, "no packages"),
        (Coverage(), CoverageFacts(), ScanState.UNSUPPORTED, "no advisories for this image"),
        (lacking(notes=("no go",)), DEBIAN, ScanState.PARTIAL, "no go"),
        (COVERED, changed(omitted=("loop: etc/x",)), ScanState.PARTIAL, "left out: loop: etc/x"),
        (COVERED, changed(contradictions=("empty: dpkg",)), ScanState.INCONSISTENT, "empty: dpkg"),
        (
            lacking(distribution=""),
            changed(contradictions=("a: b",), omitted=("c: d",)),
            ScanState.INCONSISTENT,
            "a: b",
        ),
    ],
)
def test_states(coverage: Coverage, facts: CoverageFacts, state: ScanState, detail: str) -> None:
    """The gravest thing known decides the state, and the detail says why; findings are kept in each."""
    found = verdict(GIT, coverage=coverage, facts=facts)
    assert (found.state, found.detail) == (state, detail)
    assert len(found.findings) == 1


def test_a_failed_scan_says_how() -> None:
    """The state is `failed`, with facts and support dates, and without findings."""
    scan = Scan(fingerprint="f" * 64, facts=DEBIAN)
    found = failed(scan, FEEDS, Generation(id="g"), NOW, "Clair fails on this image: bad rpm")
    assert (found.state, found.detail, found.findings) == (
        ScanState.FAILED,
        "Clair fails on this image: bad rpm",
        (),
    )
    assert found.end_of_life.lts == "2026-08-31"


def test_kev_is_joined_by_name_and_alias() -> None:
    """An advisory whose alias is listed is listed; the earliest date counts; others stay as they are."""
    alias = Finding(vulnerability="GHSA-1", package="git", version="1", aliases=("CVE-2025-48384",))
    other = Finding(vulnerability="CVE-2020-1111", package="git", version="1")
    found = verdict(GIT, alias, other).findings
    assert [(entry.vulnerability, entry.kev, entry.kev_added) for entry in found] == [
        ("CVE-2020-1111", False, ""),
        ("CVE-2025-48384", True, "2025-08-25"),
        ("GHSA-1", True, "2025-08-25"),
    ]


def test_support_dates_are_joined_by_what_the_image_says() -> None:
    """Known release: its dates; unknown one: none."""
    assert verdict().end_of_life == EndOfLife(product="Debian 11", eol="2024-08-14", lts="2026-08-31")
    assert verdict(facts=CoverageFacts(os_release=OsRelease(id="debian"))).end_of_life == EndOfLife()


def test_two_advisories_on_one_pair_are_one_finding() -> None:
    """PYSEC and GHSA on the same CVE: the graver one, with all that both know."""
    one = Finding(
        vulnerability="CVE-1",
        package="requests",
        version="2",
        severity=Severity.MEDIUM,
        aliases=("PYSEC-1",),
        fixed_version="2.20",
    )
    two = Finding(
        vulnerability="CVE-1",
        package="requests",
        version="2",
        severity=Severity.CRITICAL,
        aliases=("GHSA-1",),
        cvss=9.8,
    )
    (found,) = verdict(one, two).findings
    assert (found.severity, found.fixed_version, found.cvss) == (Severity.CRITICAL, "2.20", 9.8)
    assert found.aliases == ("GHSA-1", "PYSEC-1")


def rated(*ratings: Rating, **members: Any) -> Finding:
    """Return a finding with what sources say of it."""
    return Finding(vulnerability="CVE-1", package="requests", version="2", ratings=ratings, **members)


def test_ratings_of_two_advisories_stand_beside_each_other() -> None:
    """Each source once, the graver word of two of one source; the severity is that of the first source in the order."""
    low, high = Rating("ghsa", Severity.LOW), Rating("ghsa", Severity.HIGH)
    nvd = Rating("nvd", Severity.CRITICAL)
    one = rated(low, severity=Severity.LOW, scores=(Score("3.1", 5.0),), cvss=5.0)
    two = rated(high, nvd, severity=Severity.HIGH, scores=(Score("3.0", 9.0), Score("3.1", 7.0)), cvss=9.0)
    only = rated(nvd, severity=Severity.CRITICAL)
    (found,) = verdict(one, two, only).findings
    assert (found.ratings, found.severity) == ((high, nvd), Severity.HIGH)
    assert (found.scores, found.cvss) == ((Score("3.0", 9.0), Score("3.1", 7.0)), 9.0)


def test_a_fix_is_as_old_as_its_first_erratum() -> None:
    """Of two errata that repair one pair the earlier one counts."""
    one = rated(fixed_version="2", fix_available="2026-02-02")
    two = rated(fixed_version="3", fix_available="2026-01-01")
    (found,) = verdict(one, two).findings
    assert found.fix_available == "2026-01-01"


WORDS = st.sampled_from(["", "a", "b", "é"])
FINDINGS = st.lists(
    st.builds(
        Finding,
        vulnerability=WORDS,
        package=WORDS,
        version=WORDS,
        severity=st.sampled_from(Severity),
        fixed_version=WORDS,
        cvss=st.sampled_from([-1.0, 5.0, 9.8]),
        updater=WORDS,
        aliases=st.sampled_from([(), ("a",), ("b", "c")]),
        link=WORDS,
        published=WORDS,
        fix_available=st.sampled_from(["", "2026-01-01", "2026-02-02"]),
        ratings=st.sampled_from(
            [
                (),
                (Rating("distro", Severity.LOW),),
                (Rating("ghsa", Severity.HIGH), Rating("nvd", Severity.LOW)),
            ]
        ),
        scores=st.sampled_from([(), (Score("3.1", 5.0),), (Score("3.0", 9.0), Score("3.1", 1.0))]),
    ),
    max_size=4,
)


@given(FINDINGS)
def test_order_does_not_matter(findings: list[Finding]) -> None:
    """Findings in any order give the same canonical bytes, which decode to the same verdict."""
    bodies = {digest.canonical(verdict(*order)) for order in itertools.permutations(findings)}
    assert len(bodies) == 1
    body = bodies.pop()
    assert digest.canonical(digest.decode(body)) == body


@given(FINDINGS)
def test_each_pair_once_and_sorted(findings: list[Finding]) -> None:
    """No pair is lost and none comes twice."""
    keys = [
        (found.vulnerability, found.package, found.version, found.arch, found.path)
        for found in verdict(*findings).findings
    ]
    assert keys == sorted(
        {(given.vulnerability, given.package, given.version, given.arch, given.path) for given in findings}
    )


OLD = (
    b'{"fingerprint":"f","state":"known","findings":[{"vulnerability":"CVE-1","package":"git","version":"1",'
    b'"severity":4,"aliases":[],"source":"","arch":"","manager":"dpkg","fixed_version":"2","kev":true,'
    b'"kev_added":"2025-08-25","cvss":-1.0,"published":"","link":"","path":"","updater":"debian/updater"}],'
    b'"end_of_life":{"product":"Debian 11","eol":"2024-08-14","lts":"2026-08-31"},'
    b'"generation":{"id":"g","advisories":"","kev":"2025-08-25","eol":""},"scanned_at":"2026-01-02T03:04:05Z",'
    b'"detail":"","schema":1}'
)


def test_a_verdict_of_before_is_still_read() -> None:
    """What is stored stays evidence: members that did not exist then are unknown now."""
    found = digest.decode(OLD)
    assert found.findings == (
        Finding(
            vulnerability="CVE-1",
            package="git",
            version="1",
            severity=Severity.HIGH,
            manager="dpkg",
            fixed_version="2",
            kev=True,
            kev_added="2025-08-25",
            updater="debian/updater",
        ),
    )
    assert (found.end_of_life.elts, found.generation.epss, found.findings[0].support_ended) == ("", "", None)


def test_digest_is_an_address() -> None:
    """Equal bytes, equal digest; any other bytes, another one."""
    body = digest.canonical(verdict(GIT))
    assert digest.digest(body) == digest.digest(bytes(body))
    assert digest.digest(body) != digest.digest(digest.canonical(verdict()))
    assert digest.digest(body).startswith("sha256:")
