# SPDX-License-Identifier: Apache-2.0
"""Package URLs: read as an independent reader reads them, written for findings, compared whatever the spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from sifgate.model.finding import Finding
from sifgate.model.image import OsRelease
from sifgate.model.purl import MAX_PURL, Purl, package_of, parse_purl, purl_of

DEBIAN = OsRelease(id="debian", version_id="11", codename="bullseye")
TEXTS = (
    "pkg:deb/ubuntu/libstdc%2B%2B6@12.3.0-1ubuntu1~22.04?arch=amd64&distro=ubuntu-22.04",
    "pkg:golang/github.com/k3s-io/k3s@v1.30.12-rc1%2Bk3s1",
    "pkg:golang/google.golang.org/genproto@abcdedf#googleapis/api/annotations",
    "pkg:rpm/redhat/openssl@1.1.1k-9.el8?arch=x86_64&epoch=1",
    "pkg:pypi/django@1.11.1",
    "pkg:maven/org.apache.logging.log4j/log4j-core@2.17.0?type=jar",
    "pkg:gem/ruby-advisory-db-check@0.12.4",
    "pkg:apk/alpine/busybox@1.36.1-r2?arch=x86_64",
    "pkg:npm/%40angular/core@16.0.0",
    "pkg:oci/debian@sha256:244fd47e07d10?repository_url=ghcr.io/debian&tag=bullseye",
    "pkg:deb/debian/git@1:2.30.2-1%2Bdeb11u2?arch=source",
    "pkg:generic/openssl",
)
NAMES = {
    "a Debian package": (
        Finding("CVE-1", "libcurl4", "7.74.0-1.3+deb11u2", source="curl", arch="amd64", manager="dpkg"),
        DEBIAN,
        "pkg:deb/debian/libcurl4@7.74.0-1.3%2Bdeb11u2?arch=amd64&distro=debian-11&upstream=curl",
    ),
    "an RPM with an epoch": (
        Finding("CVE-1", "openssl", "1:1.1.1k-9.el8", source="openssl", arch="x86_64", manager="rpm"),
        OsRelease(id="rhel", version_id="8.6"),
        "pkg:rpm/redhat/openssl@1.1.1k-9.el8?arch=x86_64&distro=rhel-8.6&epoch=1",
    ),
    "an Alpine package": (
        Finding("CVE-1", "busybox", "1.36.1-r2", manager="apk"),
        OsRelease(id="alpine", version_id="3.18.4"),
        "pkg:apk/alpine/busybox@1.36.1-r2?distro=alpine-3.18.4",
    ),
    "a Python package": (
        Finding("CVE-1", "Ruamel.Yaml_X", "1", manager="python"),
        DEBIAN,
        "pkg:pypi/ruamel-yaml-x@1",
    ),
    "a Go module": (
        Finding("CVE-1", "github.com/Foo/bar", "v1.2.3", manager="go"),
        DEBIAN,
        "pkg:golang/github.com/foo/bar@v1.2.3",
    ),
    "a Java archive": (
        Finding("CVE-1", "org.apache.logging.log4j:log4j-core", "2.14", manager="java"),
        DEBIAN,
        "pkg:maven/org.apache.logging.log4j/log4j-core@2.14",
    ),
    "a gem": (Finding("CVE-1", "rails", "7", manager="ruby"), DEBIAN, "pkg:gem/rails@7"),
    "an unknown manager": (Finding("CVE-1", "x", "", manager="other"), DEBIAN, "pkg:generic/x"),
    "an unknown distribution": (Finding("CVE-1", "x", "1", manager="dpkg"), OsRelease(), "pkg:deb/x@1"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_it_reads_what_packageurl_reads(text: str) -> None:
    """The reader written for speed and the reference reader come to the same parts, and to the same text."""
    theirs = PackageURL.from_string(text)
    ours = parse_purl(text)
    assert (ours.type, ours.namespace, ours.name) == (theirs.type, theirs.namespace or "", theirs.name)
    assert (ours.version, ours.subpath) == (theirs.version or "", theirs.subpath or "")
    assert isinstance(theirs.qualifiers, dict)
    assert dict(ours.qualifiers) == theirs.qualifiers
    assert str(ours) == theirs.to_string()


@pytest.mark.parametrize("name", NAMES)
def test_a_finding_has_a_package_url(name: str) -> None:
    """Manager, package, version, source, architecture and distribution make one URL, which packageurl can read."""
    found, system, expected = NAMES[name]
    assert purl_of(found, system) == expected
    assert PackageURL.from_string(expected).to_string() == expected


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("pkg:pypi/Django_X@1", "pkg:pypi/django-x@1"),
        ("PKG:DEB/Debian/Git@1", "pkg:deb/debian/git@1"),
        ("pkg:rpm/rhel/openssl", "pkg:rpm/redhat/openssl"),
        ("pkg:rpm/amazon/openssl", "pkg:rpm/amzn/openssl"),
        ("pkg://deb/debian//git@1?arch=", "pkg:deb/debian/git@1"),
        ("pkg:npm/@angular/core@1", "pkg:npm/%40angular/core@1"),
        ("pkg:deb/debian/git?b=2&a=1", "pkg:deb/debian/git?a=1&b=2"),
    ],
)
def test_spellings_of_one_package_are_equal(one: str, two: str) -> None:
    """Case, separators, vendors' words and order of qualifiers make no difference where the type says so."""
    assert parse_purl(one) == parse_purl(two)


@pytest.mark.parametrize(
    "text",
    ["", "pkg:", "deb/debian/git", "pkg:deb", "pkg:deb/", "pkg:/git", "pkg:d eb/x", "pkg:deb/x?a b=1",
     "pkg:deb/x?a=1&a=2", "pkg:deb/@1", "https://example.org/", "pkg:deb/" + "x" * MAX_PURL],
)  # fmt: skip
def test_what_is_no_package_url_is_refused(text: str) -> None:
    """A sentence says what is missing; nothing is guessed."""
    with pytest.raises(ValueError, match=r"package URL|longer"):
        parse_purl(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but ValueError, and what is read is read the same again."""
    try:
        read = parse_purl(f"pkg:{text}")
    except ValueError:
        return
    assert isinstance(read, Purl)


@given(
    st.sampled_from(["dpkg", "rpm", "apk", "python", "go", "java", "ruby", ""]),
    st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=12),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
def test_the_url_of_any_finding_reads_back(manager: str, package: str, version: str) -> None:
    """Whatever an image calls its packages, the URL names type, name and version again."""
    found = Finding("CVE-1", package, version, manager=manager)
    made = package_of(found, DEBIAN)
    if made.name and made.namespace.strip("/") == made.namespace:
        assert parse_purl(str(made)) == made
