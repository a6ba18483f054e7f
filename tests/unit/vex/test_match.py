# SPDX-License-Identifier: Apache-2.0
"""Which statement holds for a finding: authors, flaws, products, times, statuses; never more than was said."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.model.finding import Finding
from sifgate.model.image import ImageFacts, ImageReference, OsRelease, ReferenceKind
from sifgate.model.launch import Door, LaunchEvent, Requester
from sifgate.model.verdict import ScanState, Verdict
from sifgate.model.vex import VexStatement, VexStatus
from sifgate.vex.match import Statements, launch_fields
from sifgate.vex.trust import is_trusted

DEBIAN = OsRelease(id="debian", version_id="12", codename="bookworm")
RHEL = OsRelease(id="rhel", version_id="8.6")
JAMMY = OsRelease(id="ubuntu", version_id="22.04", codename="jammy")
DIGEST = "sha256:" + "a1" * 32
LIBCURL = Finding(
    "CVE-2026-1",
    "libcurl4",
    "7.88-1",
    aliases=("GHSA-2222-3333-4444",),
    source="curl",
    arch="amd64",
    manager="dpkg",
)
OPENSSL = Finding("CVE-2026-1", "openssl", "1:1.1.1k-9.el8", source="openssl", arch="x86_64", manager="rpm")
AUTHOR = "security@site.example"


def launch(digest: str = "") -> LaunchEvent:
    """Return a launch of an image with this digest."""
    return LaunchEvent(
        Door.CLI,
        Requester(1000),
        ImageReference("x", ReferenceKind.PATH, "/x"),
        image=ImageFacts(digest=digest),
    )


def statement(*products: str, **fields: Any) -> VexStatement:
    """Return a trusted author's `not_affected` on products."""
    given: dict[str, Any] = {
        "document": "d1",
        "author": AUTHOR,
        "vulnerabilities": ("CVE-2026-1",),
        "status": VexStatus.NOT_AFFECTED,
        "timestamp": "2026-08-01T00:00:00.000000Z",
    }
    return VexStatement(products=products, **(given | fields))


def settled(found: Finding, system: OsRelease, *statements: VexStatement, digest: str = "") -> str:
    """Return the document that sets a finding aside, empty for none."""
    verdict = Verdict("f" * 64, ScanState.KNOWN, findings=(found,), os_release=system)
    holding = Statements(statements, (AUTHOR, "Vendor*")).of(found, verdict, launch(digest))
    return "" if holding is None else holding.document


@pytest.mark.parametrize(
    ("product", "holds"),
    [
        ("pkg:deb/debian/libcurl4", True),
        ("pkg:deb/debian/libcurl4@7.88-1", True),
        ("pkg:deb/debian/libcurl4@7.88-1?arch=amd64", True),
        ("pkg:deb/debian/libcurl4@7.88-1?arch=arm64", False),
        ("pkg:deb/debian/libcurl4@7.88-2", False),
        ("pkg:deb/debian/curl", False),
        ("pkg:deb/debian/curl?arch=source", True),
        ("pkg:deb/debian/curl@7.88-1?arch=source", True),
        ("pkg:deb/debian/curl@7.88-2?arch=source", False),
        ("pkg:deb/debian/libcurl4?arch=source", False),
        ("pkg:deb/ubuntu/libcurl4", False),
        ("pkg:rpm/debian/libcurl4", False),
        ("pkg:pypi/libcurl4", False),
        ("pkg:deb/debian/libcurl4?distro=debian-12", True),
        ("pkg:deb/debian/libcurl4?distro=debian-12.5", True),
        ("pkg:deb/debian/libcurl4?distro=bookworm", True),
        ("pkg:deb/debian/libcurl4?distro=debian-11", False),
        ("pkg:deb/debian/libcurl4?distro=debian-1", False),
        ("pkg:deb/debian/libcurl4?distro=bullseye", False),
        ("pkg:deb/debian/libcurl4?upstream=curl", True),
        ("pkg:deb/debian/libcurl4?upstream=wget", False),
        ("pkg:deb/debian/libcurl4?repository_url=mirror.example", False),
        ("pkg:deb/debian/libcurl4?checksum=sha256:00", False),
        ("pkg:deb/debian/libcurl4@7.88-1?package-id=77", True),
        ("pkg:deb/debian/libcurl4?package-id=77", False),
        ("pkg:deb/debian/libcurl4@7.88-1#usr/lib", False),
    ],
)
def test_a_debian_package_is_met_as_far_as_stated(product: str, *, holds: bool) -> None:
    """Name, version and every qualifier that is stated must fit; one that cannot be judged does not."""
    assert bool(settled(LIBCURL, DEBIAN, statement(product))) is holds


@pytest.mark.parametrize(
    ("product", "holds"),
    [
        ("pkg:rpm/redhat/openssl@1.1.1k-9.el8", True),
        ("pkg:rpm/redhat/openssl@1.1.1k-9.el8?epoch=1", True),
        ("pkg:rpm/redhat/openssl@1.1.1k-9.el8?epoch=2", False),
        ("pkg:rpm/redhat/openssl@1:1.1.1k-9.el8", True),
        ("pkg:rpm/rhel/openssl?distro=rhel-8", True),
        ("pkg:rpm/redhat/openssl?arch=src&distro=rhel-8", True),
        ("pkg:rpm/redhat/openssl?distro=redhat-8.6", True),
        ("pkg:rpm/redhat/openssl?distro=rhel-8.4", False),
        ("pkg:rpm/redhat/openssl?distro=rhel-9", False),
        ("pkg:rpm/redhat/openssl?distro=rhel-6", False),
        ("pkg:rpm/fedora/openssl", False),
    ],
)
def test_an_rpm_is_met_with_and_without_epoch(product: str, *, holds: bool) -> None:
    """The epoch counts where it is stated, and a release is met by those that are part of it."""
    assert bool(settled(OPENSSL, RHEL, statement(product))) is holds


@pytest.mark.parametrize(
    ("manager", "package", "version", "product"),
    [
        ("python", "Ruamel.Yaml", "0.17", "pkg:pypi/ruamel-yaml@0.17"),
        ("go", "github.com/Foo/bar", "v1.2.3", "pkg:golang/github.com/foo/bar@1.2.3"),
        ("java", "org.x:core", "2.14", "pkg:maven/org.x/core@2.14"),
        ("apk", "busybox", "1.36-r2", "pkg:apk/debian/busybox@1.36-r2"),
        ("ruby", "rails", "7", "pkg:gem/rails"),
    ],
)
def test_packages_of_languages_are_met(manager: str, package: str, version: str, product: str) -> None:
    """Each ecosystem's names are compared as it spells them."""
    found = Finding("CVE-2026-1", package, version, manager=manager)
    assert settled(found, DEBIAN, statement(product)) == "d1"


def test_a_codename_is_a_release() -> None:
    """Canonical's documents name the release by its codename."""
    found = Finding("CVE-2026-1", "curl", "7.81-1", arch="amd64", manager="dpkg")
    assert settled(found, JAMMY, statement("pkg:deb/ubuntu/curl@7.81-1?arch=amd64&distro=jammy"))
    assert not settled(found, JAMMY, statement("pkg:deb/ubuntu/curl@7.81-1?arch=amd64&distro=noble"))
    assert not settled(found, OsRelease(), statement("pkg:deb/curl@7.81-1?distro=jammy"))


def test_a_whole_image_is_met_by_its_digest() -> None:
    """The image's file, or named components in it; without the digest of the launch nothing is met."""
    whole = statement(DIGEST)
    part = statement(DIGEST, subcomponents=("pkg:deb/debian/libcurl4", "pkg:deb/debian/wget"))
    other = statement(DIGEST, subcomponents=("pkg:deb/debian/wget",))
    assert settled(LIBCURL, DEBIAN, whole, digest=DIGEST)
    assert settled(LIBCURL, DEBIAN, part, digest=DIGEST)
    assert not settled(LIBCURL, DEBIAN, other, digest=DIGEST)
    for each in (whole, part, other):
        assert not settled(LIBCURL, DEBIAN, each)
        assert not settled(LIBCURL, DEBIAN, each, digest="sha256:" + "b2" * 32)


def test_a_component_of_another_package_is_never_met() -> None:
    """That k3s does not call the code says nothing of another program that does."""
    inside = statement("pkg:deb/debian/k3s", subcomponents=("pkg:deb/debian/libcurl4",))
    itself = statement("pkg:deb/debian/libcurl4", subcomponents=("pkg:deb/debian/libcurl4",))
    assert not settled(LIBCURL, DEBIAN, inside, itself)


@pytest.mark.parametrize("name", ["CVE-2026-1", "GHSA-2222-3333-4444"])
def test_any_name_of_the_flaw_will_do(name: str) -> None:
    """Documents and scanners name one flaw differently."""
    assert settled(LIBCURL, DEBIAN, statement("pkg:deb/debian/libcurl4", vulnerabilities=(name.upper(),)))
    other = statement("pkg:deb/debian/libcurl4", vulnerabilities=("CVE-2026-10",))
    assert not settled(LIBCURL, DEBIAN, other)


def test_an_advisory_of_several_flaws_is_not_settled_by_one() -> None:
    """The finding stays until all that it repairs is settled."""
    found = Finding("USN-1-1", "curl", "1", aliases=("CVE-2026-1", "CVE-2026-2"), manager="dpkg")
    assert not settled(found, DEBIAN, statement("pkg:deb/debian/curl"))


@pytest.mark.parametrize(
    ("status", "product", "holds"),
    [
        (VexStatus.NOT_AFFECTED, "pkg:deb/debian/libcurl4", True),
        (VexStatus.FIXED, "pkg:deb/debian/libcurl4@7.88-1", True),
        (VexStatus.FIXED, "pkg:deb/debian/libcurl4", False),
        (VexStatus.AFFECTED, "pkg:deb/debian/libcurl4@7.88-1", False),
        (VexStatus.UNDER_INVESTIGATION, "pkg:deb/debian/libcurl4@7.88-1", False),
    ],
)
def test_only_two_statuses_set_aside(status: VexStatus, product: str, *, holds: bool) -> None:
    """`not_affected` does, and `fixed` in this very version: one without a version says nothing here."""
    assert bool(settled(LIBCURL, DEBIAN, statement(product, status=status))) is holds


def test_the_later_statement_holds() -> None:
    """Of two on one product the later one, whatever the order of files."""
    early = statement("pkg:deb/debian/libcurl4", document="early")
    late = statement(
        "pkg:deb/debian/libcurl4@7.88-1", status=VexStatus.AFFECTED, timestamp="2026-08-02T00:00:00.000000Z"
    )
    latest = statement("pkg:deb/debian/libcurl4", document="latest", timestamp="2026-08-03T00:00:00.000000Z")
    for order in permutations((early, late)):
        assert settled(LIBCURL, DEBIAN, *order) == ""
    for three in permutations((early, late, latest)):
        assert settled(LIBCURL, DEBIAN, *three) == "latest"


def test_of_one_time_the_cautious_statement_holds() -> None:
    """Two that contradict each other at the same instant, or without any, set nothing aside."""
    for when in ("2026-08-01T00:00:00.000000Z", ""):
        one = statement("pkg:deb/debian/libcurl4", timestamp=when)
        two = statement("pkg:deb/debian/libcurl4", status=VexStatus.UNDER_INVESTIGATION, timestamp=when)
        for order in permutations((one, two)):
            assert not settled(LIBCURL, DEBIAN, *order)


def test_nobody_is_believed_who_is_not_trusted() -> None:
    """An untrusted author neither sets aside nor contradicts a trusted one."""
    stranger = statement("pkg:deb/debian/libcurl4", author="somebody")
    later = statement(
        "pkg:deb/debian/libcurl4", author="somebody", status=VexStatus.AFFECTED, timestamp="2027"
    )
    assert not settled(LIBCURL, DEBIAN, stranger)
    assert settled(LIBCURL, DEBIAN, statement("pkg:deb/debian/libcurl4"), later)
    assert settled(LIBCURL, DEBIAN, statement("pkg:deb/debian/libcurl4", author="Vendor Inc."))


@pytest.mark.parametrize(
    ("author", "patterns", "trusted"),
    [
        ("Red Hat Product Security", ("Red Hat*",), True),
        ("Red Hat", ("Red Hat",), True),
        ("Red Hatter", ("Red Hat",), False),
        ("red hat", ("Red Hat",), False),
        ("The Red Hat", ("Red Hat*",), False),
        ("a.b", ("a?b", "[a].b", "axb"), False),
        ("", ("*",), False),
        ("x", ("*",), True),
        ("x", (), False),
    ],
)
def test_authors_are_exact_or_patterns(author: str, patterns: tuple[str, ...], *, trusted: bool) -> None:
    """Only `*` is special; who does not say who he is is nobody."""
    assert is_trusted(author, patterns) is trusted


def test_the_digest_is_read_only_if_a_trusted_statement_names_one() -> None:
    """Computing it costs a pass over the image."""
    assert launch_fields([statement("pkg:deb/debian/curl")], (AUTHOR,)) == frozenset()
    assert launch_fields([statement(DIGEST, author="somebody")], (AUTHOR,)) == frozenset()
    assert launch_fields([statement("pkg:deb/x", DIGEST)], (AUTHOR,)) == {"image.digest"}


PRODUCTS = st.sampled_from(
    ["pkg:deb/debian/libcurl4", "pkg:deb/debian/libcurl4@7.88-1", "pkg:deb/debian/curl?arch=source", DIGEST]
)
STATEMENTS = st.builds(
    lambda product, status, day, author: statement(
        product,
        status=status,
        timestamp=f"2026-08-0{day}T00:00:00.000000Z",
        author=author,
        document=f"d{day}",
    ),
    PRODUCTS,
    st.sampled_from(VexStatus),
    st.integers(1, 3),
    st.sampled_from([AUTHOR, "somebody"]),
)


@given(st.lists(STATEMENTS, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_files_changes_nothing(statements: list[VexStatement], random: Any) -> None:
    """The answer depends on what is said, not on where it stands."""
    shuffled = list(statements)
    random.shuffle(shuffled)
    assert settled(LIBCURL, DEBIAN, *statements, digest=DIGEST) == settled(
        LIBCURL, DEBIAN, *shuffled, digest=DIGEST
    )


@given(st.lists(STATEMENTS, max_size=4))
def test_without_a_settling_statement_everything_counts(statements: list[VexStatement]) -> None:
    """No combination of `affected` and `under_investigation` sets anything aside."""
    open_ones = [
        each for each in statements if each.status in {VexStatus.AFFECTED, VexStatus.UNDER_INVESTIGATION}
    ]
    assert not settled(LIBCURL, DEBIAN, *open_ones, digest=DIGEST)
