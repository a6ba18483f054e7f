# SPDX-License-Identifier: Apache-2.0
"""Conditions on names, places and states: aliases, package URLs, paths, owners, keys, coverage."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.policy.builders import finding
from tests.unit.policy.condition_values import FALSE, TRUE, UNKNOWN, of, situation, truth, when

from sifgate.model.image import ImageFacts, OsRelease
from sifgate.model.verdict import Coverage, EndOfLife, Generation, ScanState, Verdict
from sifgate.policy.conditions.family import Situation, Truth
from sifgate.policy.conditions.package import PackageCondition

KEY, OTHER = "0123456789ABCDEF0123456789ABCDEF01234567", "F" * 64


@pytest.mark.parametrize(
    ("named", "aliases", "expected"),
    [
        ("CVE-2021-44228", (), TRUE),
        ("GHSA-jfh8-c2jp-5v3q", (), TRUE),
        ("X-1", ("CVE-2021-44228",), TRUE),
        ("CVE-2000-0001", ("A-1", "ghsa-JFH8-c2jp-5v3q"), TRUE),
        ("cve-2021-44228", (), TRUE),
        ("CVE-2021-442280", ("CVE-2021-4422",), FALSE),
        ("", (), FALSE),
    ],
)
def test_vulnerability_by_any_of_its_names(named: str, aliases: tuple[str, ...], expected: Truth) -> None:
    """Name or alias, whatever its case, as a whole."""
    rule = {"cve": ["CVE-2021-44228", "GHSA-jfh8-c2jp-5v3q"]}
    assert of(rule, vulnerability=named, aliases=aliases) is expected


DEBIAN = {"version": "3.0.2-1", "arch": "amd64", "manager": "dpkg", "source": "openssl"}


@pytest.mark.parametrize(
    ("purl", "fields", "expected"),
    [
        ("pkg:deb/debian/openssl", {"package": "openssl"}, TRUE),
        ("pkg:deb/debian/openssl@*", {"package": "openssl"}, TRUE),
        ("pkg:deb/debian/openssl@3.0.*", {"package": "openssl"}, TRUE),
        ("pkg:deb/debian/openssl@3.1.*", {"package": "openssl"}, FALSE),
        ("pkg:deb/debian/libssl*", {"package": "libssl3"}, TRUE),
        ("pkg:deb/debian/openssl", {"package": "libssl3"}, FALSE),
        ("pkg:deb/debian/*?upstream=openssl", {"package": "libssl3"}, TRUE),
        ("pkg:deb/debian/*?upstream=openssl", {"package": "openssl"}, TRUE),
        ("pkg:deb/debian/*?upstream=openssl", {"package": "git", "source": "git"}, FALSE),
        ("pkg:deb/openssl", {"package": "openssl"}, TRUE),
        ("pkg:deb/ubuntu/openssl", {"package": "openssl"}, FALSE),
        ("pkg:deb/[du]*/openssl", {"package": "openssl"}, TRUE),
        ("pkg:deb/debian/openssl?distro=debian-11", {"package": "openssl"}, TRUE),
        ("pkg:deb/debian/openssl?distro=debian-1[0-1]&arch=amd64", {"package": "openssl"}, TRUE),
        ("pkg:deb/debian/openssl?arch=arm64", {"package": "openssl"}, FALSE),
        ("pkg:deb/debian/openssl?arch=arm64", {"package": "openssl", "arch": ""}, UNKNOWN),
        ("pkg:deb/debian/openssl", {"package": "openssl", "manager": ""}, UNKNOWN),
        ("pkg:rpm/debian/openssl", {"package": "openssl"}, FALSE),
        ("pkg:pypi/Foo.Bar", {"package": "foo_bar", "manager": "python"}, TRUE),
        ("pkg:golang/github.com/x/*", {"package": "github.com/x/y", "manager": "go"}, TRUE),
        ("pkg:golang/github.com/x/*", {"package": "y", "manager": "go"}, FALSE),
        (
            "pkg:maven/org.apache.*/log4j-*",
            {"package": "org.apache.logging.log4j:log4j-core", "manager": "java"},
            TRUE,
        ),
        ("pkg:gem/rails", {"package": "rails", "manager": "ruby"}, TRUE),
    ],
)
def test_package_by_url(purl: str, fields: dict[str, Any], expected: Truth) -> None:
    """What the pattern names must fit; what it leaves out may be anything; what the facts lack is unknown."""
    assert of({"package": {"purl": purl}}, **(DEBIAN | fields)) is expected


def test_package_url_of_an_image_without_a_name() -> None:
    """Which distribution a system package is of is not known then; that of a wheel does not matter."""
    around = situation(finding(package="openssl"), os_release=OsRelease())
    assert truth({"package": {"purl": "pkg:deb/debian/openssl"}}, around) is UNKNOWN
    assert truth({"package": {"purl": "pkg:deb/openssl"}}, around) is TRUE


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/opt/**", "opt/venv/x.dist-info", TRUE),
        ("/opt/**", "/opt/x", TRUE),
        ("/opt/**", "/opt", FALSE),
        ("/opt/**", "/optional/x", FALSE),
        ("/opt/*", "/opt/a/b", FALSE),
        ("/**/site-packages/*", "usr/lib/python3/site-packages/x", TRUE),
        ("/**", "var/lib/dpkg/status", TRUE),
        ("/opt/**", "/opt/../etc/x", FALSE),
        ("/opt/**", "", UNKNOWN),
    ],
)
def test_package_by_place(pattern: str, path: str, expected: Truth) -> None:
    """The scanner's path, which has no slash in front, against an absolute pattern."""
    assert of({"package": {"path": pattern}}, path=path) is expected


@pytest.mark.parametrize(
    ("ecosystem", "manager"),
    [
        ("deb", "dpkg"),
        ("rpm", "rpm"),
        ("apk", "apk"),
        ("pypi", "python"),
        ("golang", "go"),
        ("maven", "java"),
        ("gem", "ruby"),
    ],
)
def test_ecosystem_is_another_word_for_the_manager(ecosystem: str, manager: str) -> None:
    """The types of package URLs; the two spellings are one condition."""
    assert when({"package": {"ecosystem": ecosystem}}) == when({"package": {"manager": manager}})
    assert of({"package": {"ecosystem": ecosystem}}, manager=manager) is TRUE
    assert of({"package": {"ecosystem": ecosystem}}, manager="other") is FALSE


def test_every_field_of_a_package_must_fit() -> None:
    """One that is unknown leaves it unknown, unless another is false."""
    rule = {"package": {"name": "git", "path": "/opt/**", "purl": "pkg:deb/debian/git"}}
    assert of(rule, path="opt/x") is TRUE
    assert of(rule, path="") is UNKNOWN
    assert of(rule, path="", package="x") is FALSE
    assert of(rule, path="usr/x") is FALSE


def test_package_fits_without_a_situation() -> None:
    """Exceptions ask of a finding and a distribution only."""
    (package,) = when({"package": {"purl": "pkg:deb/debian/git@1.*"}}).findings
    assert isinstance(package, PackageCondition)
    assert package.fits(finding(), OsRelease(id="debian")) is TRUE
    assert package.fits(finding(), OsRelease(id="ubuntu")) is FALSE


@pytest.mark.parametrize(
    ("rule", "facts", "expected"),
    [
        ({"owner": "root"}, ImageFacts(owner="root"), TRUE),
        ({"owner": ["root", "images"]}, ImageFacts(owner="alice"), FALSE),
        ({"owner": "1001"}, ImageFacts(owner="1001"), TRUE),
        ({"owner": "root"}, ImageFacts(), UNKNOWN),
        ({"not": {"owner": "root"}}, ImageFacts(), UNKNOWN),
        ({"signed_by": "any"}, ImageFacts(signers=(KEY,)), TRUE),
        ({"signed_by": "any"}, ImageFacts(signers=()), FALSE),
        ({"signed_by": "any"}, ImageFacts(), UNKNOWN),
        ({"signed_by": KEY.lower()}, ImageFacts(signers=(KEY,)), TRUE),
        (
            {"signed_by": [OTHER, "0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567"]},
            ImageFacts(signers=(KEY,)),
            TRUE,
        ),
        ({"signed_by": OTHER}, ImageFacts(signers=(KEY,)), FALSE),
        ({"not": {"signed_by": OTHER}}, ImageFacts(signers=()), TRUE),
        ({"not": {"signed_by": OTHER}}, ImageFacts(), UNKNOWN),
    ],
)
def test_facts_of_the_file(rule: dict[str, Any], facts: ImageFacts, expected: Truth) -> None:
    """Owner and signatures; what nobody has looked at is unknown."""
    assert truth(rule, situation(image=facts)) is expected


COVERED = Coverage(distribution="Debian", advisories=True, packages={"dpkg": 100, "python": 0})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"advisories": True}, TRUE),
        ({"advisories": False}, FALSE),
        ({"distribution": True}, TRUE),
        ({"distribution": False}, FALSE),
        ({"managers": ["apk", "dpkg"]}, TRUE),
        ({"managers": "python"}, FALSE),
        ({"advisories": True, "managers": ["rpm"]}, FALSE),
    ],
)
def test_coverage(rule: dict[str, Any], expected: Truth) -> None:
    """Every field must fit; a manager of which no package was found counts as not seen."""
    assert truth({"coverage": rule}, situation(coverage=COVERED)) is expected


@pytest.mark.parametrize("state", list(ScanState))
def test_scan_state(state: ScanState) -> None:
    """The state of the standing, or else of the verdict."""
    for around in (situation(state=state), situation_of(state)):
        assert truth({"scan_state": [state.value, "known"]}, around) is TRUE
        others = [other.value for other in ScanState if other is not state]
        assert truth({"scan_state": others}, around) is FALSE


def situation_of(state: ScanState) -> Situation:
    """Return a situation whose verdict has this state."""
    around = situation()
    verdict = Verdict(fingerprint="0" * 64, state=state)
    return Situation(verdict, around.launch, around.now)


def test_image_without_a_verdict() -> None:
    """Nothing is known of it but what its file and its state say."""
    bare = situation_of(ScanState.PENDING)
    around = Situation(bare.verdict, bare.launch, bare.now, state=ScanState.PENDING, scanned=False)
    for rule in (
        {"coverage": {"advisories": False}},
        {"count": {"over": 0}},
        {"distro": {"eol": True}},
        {"scan_age": "> 1d"},
        {"advisories_age": "> 1d"},
    ):
        assert truth(rule, around) is UNKNOWN
    assert truth({"scan_state": "pending"}, around) is TRUE
    assert truth({"kev": True}, around) is FALSE
    needs_none = {"scan_state", "owner", "signed_by", "image_age"}
    assert all(when({key: value}).about_unscanned is (key in needs_none) for key, value in SAMPLES.items())


SAMPLES: dict[str, Any] = {
    "scan_state": "pending",
    "owner": "root",
    "signed_by": "any",
    "image_age": "> 1d",
    "scan_age": "> 1d",
    "coverage": {"advisories": False},
    "count": {"over": 0},
    "kev": True,
}


def test_support_of_a_package() -> None:
    """True, false, and what no table says."""
    truths = [of({"support_ended": True}, support_ended=value) for value in (True, False, None)]
    assert truths == [TRUE, FALSE, UNKNOWN]
    truths = [of({"support_ended": False}, support_ended=value) for value in (True, False, None)]
    assert truths == [FALSE, TRUE, UNKNOWN]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"cvss": {"score": ">= 7", "version": "3.x"}},
            "1 vulnerability with a CVSS score of at least 7.0 (version 3.0 or 3.1)",
        ),
        ({"epss": "> 0.10"}, "1 vulnerability with an EPSS probability of more than 0.1"),
        ({"cve": ["CVE-2021-44228"]}, "1 vulnerability among CVE-2021-44228"),
        ({"published": {"within": "1d"}}, "1 vulnerability that was published less than 1 day ago"),
        ({"fix_age": {"for": "90d"}}, "1 vulnerability that was fixed at least 90 days ago"),
        (
            {"first_seen": {"of": "site", "for": "2d"}},
            "1 vulnerability that was first seen on this site at least 2 days ago",
        ),
        ({"support_ended": True}, "1 vulnerability in packages without security support"),
        (
            {"package": {"purl": "pkg:deb/debian/git@1.*", "path": "/opt/**"}},
            "1 vulnerability in deb/debian/git@1.* under /opt/**",
        ),
    ],
)
def test_findings_in_words(rule: dict[str, Any], sentence: str) -> None:
    """What people read in the notice."""
    assert when(rule).say(situation(finding()), 1) == sentence


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"image_age": ">= 1d"}, "the image says that it was built on 2025-06-01"),
        ({"scan_age": "> 48h"}, "the image was scanned on 2026-08-30 10:20 UTC"),
        ({"advisories_age": "> 48h"}, "the advisories are of 2026-08-29 00:00 UTC"),
        ({"scan_state": "known"}, "the scan state is known"),
        ({"coverage": {"advisories": False}}, "advisories are loaded for the distribution"),
        (
            {"coverage": {"managers": ["rpm"], "distribution": True}},
            "the distribution is Debian, it has no rpm packages",
        ),
        ({"owner": "root"}, "the image belongs to alice"),
        ({"signed_by": "any"}, "the image is signed by 89ABCDEF01234567"),
        (
            {"distro": {"eol": True, "support": "lts", "within": "90d"}},
            "Debian 11 reaches its end of life on 2026-10-01 (lts support)",
        ),
        ({"distro": {"eol": False}}, "Debian 11 is supported until 2026-10-01"),
    ],
)
def test_image_in_words(rule: dict[str, Any], sentence: str) -> None:
    """Facts, the same whichever way the condition asks and whether it holds."""
    around = situation(
        image=ImageFacts(owner="alice", created="2025-06-01T00:00:00Z", signers=(KEY,)),
        scanned_at="2026-08-30T10:20:30Z",
        generation=Generation(advisories="2026-08-29"),
        coverage=COVERED,
        end_of_life=EndOfLife(eol="2026-10-01"),
    )
    assert when(rule).say(around, 0) == sentence
    assert when({"not": rule}).say(around, 0) == sentence
