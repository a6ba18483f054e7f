# SPDX-License-Identifier: Apache-2.0
"""Known answers through the real Clair: committed package lists give exact sets."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest
from testbed import filetrees
from tests.integration.server.site import Site, slim_of

from sifgate.model.finding import Finding
from sifgate.model.verdict import EndOfLife, ScanState, Verdict

pytestmark = pytest.mark.engine

NOT_IN_THE_IMAGE = {"openssl", "ca-certificates"}
"""The committed list has 335 packages; the image that was measured has 333: without what only recommendations bring."""


def expected_cves(name: str) -> set[str]:
    """Return the CVEs of an expectation in `tests/data/images`."""
    text = gzip.decompress((filetrees.DATA / "images" / f"expected-{name}.tsv.gz").read_bytes()).decode()
    return {line.split("\t")[0] for line in text.splitlines()}


def pairs(findings: Iterable[Finding]) -> set[tuple[str, str]]:
    """Return the (package, vulnerability) pairs."""
    return {(finding.package, finding.vulnerability) for finding in findings}


def names(verdict: Verdict) -> set[str]:
    """Return the vulnerabilities of a verdict."""
    return {finding.vulnerability for finding in verdict.findings}


def test_bullseye_sci(site: Site, tmp_path: Path) -> None:
    """371 CVEs, 1,122 pairs in 81 packages of 40 sources, two known to be exploited, support ended."""
    packages = [
        package
        for package in filetrees.debian_packages("bullseye-sci")
        if package.name not in NOT_IN_THE_IMAGE
    ]
    found = site.judged(slim_of(filetrees.debian_tree(tuple(packages), "11", "bullseye"), tmp_path))
    assert found.state is ScanState.KNOWN
    assert names(found) == expected_cves("bullseye-sci")
    assert len(names(found)) == 371
    assert len(pairs(found.findings)) == len(found.findings) == 1122
    assert len({finding.package for finding in found.findings}) == 81
    assert len({finding.source for finding in found.findings}) == 40
    exploited = {(finding.vulnerability, finding.source) for finding in found.findings if finding.kev}
    assert exploited == {("CVE-2025-27363", "freetype"), ("CVE-2025-48384", "git")}
    assert all(finding.fixable for finding in found.findings)
    assert found.end_of_life == EndOfLife("Debian 11", eol="2024-08-14", lts="2026-08-31", elts="2031-06-30")
    assert {len(finding.ratings) for finding in found.findings} == {0}, "the tracker here judges nothing"
    assert {finding.first_seen_image for finding in found.findings} == {found.scanned_at[:10]}
    assert all("" < finding.fix_available <= found.scanned_at for finding in found.findings)
    assert found.coverage.packages["dpkg"] == 333
    assert found.clair_version == "v4.9.0"
    assert found.index_state
    assert found.generation.kev == "2025-08-25"


def test_the_whole_list_has_the_pairs_of_openssl_besides(site: Site, tmp_path: Path) -> None:
    """With all 335 packages of the list: the same CVEs, 24 pairs more."""
    found = site.judged(slim_of(filetrees.bullseye_sci(), tmp_path))
    assert names(found) == expected_cves("bullseye-sci")
    assert len(found.findings) == 1122 + 24
    assert sum(finding.package == "openssl" for finding in found.findings) == 24


def test_bullseye_minimal(site: Site, tmp_path: Path) -> None:
    """78 CVEs, exactly those expected."""
    found = site.judged(slim_of(filetrees.bullseye_min(), tmp_path))
    assert names(found) == expected_cves("bullseye-min")
    assert len(names(found)) == 78


@pytest.mark.parametrize(("tree", "release"), [(filetrees.trixie, "13"), (filetrees.bookworm_min, "12")])
def test_clean_images_show_what_covers_them(site: Site, tmp_path: Path, tree: object, release: str) -> None:
    """Nothing found, and the distribution, its advisories and the number of packages beside it."""
    assert callable(tree)
    found = site.judged(slim_of(tree(), tmp_path))
    assert (found.state, found.findings) == (ScanState.KNOWN, ())
    assert f"Debian GNU/Linux {release}" in found.coverage.distribution
    assert found.coverage.advisories
    assert found.coverage.packages["dpkg"] > 70
    assert set(found.coverage.updaters) == {"debian/updater"}


def test_alpine(site: Site, tmp_path: Path) -> None:
    """Four findings in three packages of Alpine 3.8.4, a release whose support table is not known."""
    found = site.judged(slim_of(filetrees.alpine(), tmp_path))
    assert found.state is ScanState.KNOWN
    assert len(found.findings) == 4
    assert {finding.manager for finding in found.findings} == {"apk"}
    assert found.coverage.distribution == "Alpine Linux v3.8"
    assert found.end_of_life == EndOfLife()


@pytest.mark.parametrize("tree", [filetrees.centos, filetrees.rocky])
def test_distributions_that_clair_does_not_know(site: Site, tmp_path: Path, tree: object) -> None:
    """Clair answers success and finds nothing: unsupported, never clean."""
    assert callable(tree)
    found = site.judged(slim_of(tree(), tmp_path))
    assert found.state is ScanState.UNSUPPORTED
    assert found.detail
    assert not found.coverage.distribution


def test_a_debian_release_without_advisories_is_unsupported(site: Site, tmp_path: Path) -> None:
    """Debian's updater ran, but has nothing for this release: a canary shows it, and the image is not called clean."""
    packages = [
        package for package in filetrees.debian_packages("trixie-minbase") if package.name != "base-files"
    ]
    found = site.judged(slim_of(filetrees.debian_tree(tuple(packages), "99", "future"), tmp_path))
    assert found.state is ScanState.UNSUPPORTED
    assert found.detail == "no advisories are loaded for Debian GNU/Linux 99 (future)"
    assert found.coverage.distribution


def test_an_image_without_anything_is_unsupported(site: Site, tmp_path: Path) -> None:
    """No packages at all: nothing recognised is not clean."""
    found = site.judged(slim_of({"bin/true": b"#!/bin/sh\n"}, tmp_path))
    assert found.state is ScanState.UNSUPPORTED
    assert "no packages" in found.detail


def test_old_wheels(site: Site, tmp_path: Path) -> None:
    """Package requests 2.19.1 outside the distribution's Python: PYSEC-2018-28, with its fix decoded."""
    found = site.judged(slim_of(filetrees.wheels(), tmp_path))
    (requests_one,) = [finding for finding in found.findings if "PYSEC-2018-28" in finding.aliases]
    assert (requests_one.package, requests_one.version, requests_one.manager) == (
        "requests",
        "2.19.1",
        "python",
    )
    assert requests_one.vulnerability == "CVE-2018-18074"
    assert requests_one.fixed_version == "2.20.0"
    assert found.coverage.packages["python"] == 3


def test_language_findings_of_an_unsupported_distribution_are_kept(site: Site, tmp_path: Path) -> None:
    """The distribution is not covered, the wheels are: both are said."""
    found = site.judged(slim_of({**filetrees.rocky(), **filetrees.old_wheels()}, tmp_path))
    assert found.state is ScanState.UNSUPPORTED
    assert any("PYSEC-2018-28" in finding.aliases for finding in found.findings)


def test_languages_without_advisories_make_it_partial(site: Site, tmp_path: Path) -> None:
    """Java archives are found, but no advisories for them ship: not known, partial."""
    found = site.judged(slim_of(filetrees.jar(), tmp_path))
    assert found.state is ScanState.PARTIAL
    assert "java" in found.detail
