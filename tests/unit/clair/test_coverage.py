# SPDX-License-Identifier: Apache-2.0
"""Coverage: what was not seen is said, whatever was found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.fakes.clair import debian_report

from sifgate.clair import schema
from sifgate.clair.coverage import coverage_of
from sifgate.clair.ecosystems import manager_of, updaters_for_distribution
from sifgate.model.image import CoverageFacts, OsRelease
from sifgate.model.verdict import Coverage

DATE = "2026-01-02T03:04:05Z"
FACTS = CoverageFacts(
    os_release=OsRelease(id="debian", version_id="11", pretty_name="Debian GNU/Linux 11"), managers=("dpkg",)
)


def operations(*names: str) -> dict[str, schema.UpdateOperation]:
    """Return one operation for each updater."""
    return {name: schema.UpdateOperation(ref=name, updater=name, date=DATE) for name in names}


def report(places: dict[str, dict[str, Any]] | None = None, **changes: Any) -> schema.VulnerabilityReport:
    """Return the fake's report with some members changed; `places`: package name → its environment."""
    document: dict[str, Any] = {"manifest_hash": "x", **debian_report(), **changes}
    if places is not None:
        document["packages"] = {name: {"id": name, "name": name, "kind": "BINARY"} for name in places}
        document["environments"] = {name: [place] for name, place in places.items()}
    return schema.decode_report(json.dumps(document).encode())


def covered(document: schema.VulnerabilityReport, *updaters: str, facts: CoverageFacts = FACTS) -> Coverage:
    """Return the coverage with these updaters loaded."""
    return coverage_of(document, operations(*updaters), facts)


def test_a_recognised_distribution_with_advisories_is_covered() -> None:
    """Distribution, packages by manager, updaters with their dates, nothing to complain of."""
    assert covered(report(), "debian/updater", "osv/pypi") == Coverage(
        distribution="Debian GNU/Linux 11 (bullseye)",
        advisories=True,
        packages={"dpkg": 1},
        updaters={"debian/updater": DATE},
    )


def test_a_distribution_whose_updater_never_ran_has_no_advisories() -> None:
    """Recognised is not covered."""
    found = covered(report(), "osv/pypi")
    assert not found.advisories
    assert found.notes == ("no advisories are loaded for Debian GNU/Linux 11 (bullseye)",)


def test_a_release_that_a_probe_found_empty_has_no_advisories() -> None:
    """Debian's one updater may have run without this release."""
    found = coverage_of(report(), operations("debian/updater"), FACTS, without=frozenset({("debian", "11")}))
    assert not found.advisories


def test_an_unknown_distribution_is_named_as_the_image_names_it() -> None:
    """CentOS, Rocky, Fedora: packages, but no distribution."""
    facts = CoverageFacts(os_release=OsRelease(id="rocky", pretty_name="Rocky Linux 9.4"), managers=("rpm",))
    found = covered(
        report({"bash": {"package_db": "sqlite:var/lib/rpm"}}, distributions={}),
        "debian/updater",
        facts=facts,
    )
    assert found == Coverage(
        packages={"rpm": 1}, notes=("the scanner does not know the distribution Rocky Linux 9.4",)
    )


def test_no_packages_are_a_note_never_silence() -> None:
    """An image in which nothing was found says so, also where package data were there."""
    found = covered(report({}), "debian/updater")
    assert found.notes == (
        "the scanner found no packages at all",
        "dpkg package data exist, but the scanner found no package in them",
    )


@pytest.mark.parametrize(
    ("package_db", "manager", "updater"),
    [
        ("python:opt/lib/python3.9/site-packages", "python", "osv/pypi"),
        ("go:usr/bin/apptainer", "go", "osv/go"),
        ("maven:opt/x.jar", "java", "osv/maven"),
        ("ruby:usr/lib/gems", "ruby", "osv/rubygems"),
    ],
)
def test_languages_need_their_own_advisories(package_db: str, manager: str, updater: str) -> None:
    """Each language is covered by its own updater and by no other."""
    document = report(
        {"a": {"package_db": "var/lib/dpkg/status", "distribution_id": "9"}, "b": {"package_db": package_db}}
    )
    assert covered(document, "debian/updater", updater).notes == ()
    assert covered(document, "debian/updater").notes == (
        f"no advisories are loaded for 1 {manager} packages",
    )


def test_red_hat_needs_repositories() -> None:
    """Without repository CPEs Red Hat's advisories match nothing (clair.md §4.5)."""
    system = {"9": {"id": "9", "did": "rhel", "version_id": "8", "pretty_name": "Red Hat Enterprise Linux 8"}}
    bare = {"package_db": "sqlite:var/lib/rpm", "distribution_id": "9"}
    assert not covered(report({"a": bare}, distributions=system), "rhel-vex").advisories
    known = {**bare, "repository_ids": ["3"]}
    assert covered(report({"a": known}, distributions=system), "rhel-vex").advisories


def test_source_packages_are_not_counted_twice() -> None:
    """Clair lists Debian's sources among the packages, by a kind whose case varies."""
    packages = {**debian_report()["packages"], "2": {"id": "2", "name": "git", "kind": "SOURCE"}}
    environments = {**debian_report()["environments"], "2": debian_report()["environments"]["1"]}
    assert covered(report(packages=packages, environments=environments), "debian/updater").packages == {
        "dpkg": 1
    }


@pytest.mark.parametrize(
    ("package_db", "manager"),
    [
        ("var/lib/dpkg/status", "dpkg"),
        ("var/lib/dpkg/status.d/base", "dpkg"),
        ("lib/apk/db/installed", "apk"),
        ("bdb:var/lib/rpm", "rpm"),
        ("ndb:usr/lib/sysimage/rpm", "rpm"),
        ("sqlite:var/lib/rpm", "rpm"),
        ("root/buildinfo/Dockerfile-ubi8-8.9-1", "rhcc"),
        ("", "other"),
        ("nodejs:x", "other"),
    ],
)
def test_managers(package_db: str, manager: str) -> None:
    """Each form of an environment's database belongs to one manager."""
    assert manager_of(package_db) == manager


@pytest.mark.parametrize(
    ("did", "version", "codename", "yes", "no"),
    [
        ("debian", "11", "bullseye", "debian/updater", "debian/updater/bullseye"),
        ("ubuntu", "22.04", "jammy", "ubuntu/updater/jammy", "ubuntu/updater/noble"),
        ("alpine", "3.8.4", "", "alpine-main-v3.8-updater", "alpine-main-v3.18-updater"),
        ("ol", "8", "", "oracle-2019-updater", "oracle-updater"),
        ("photon", "4.0", "", "photon-updater-4.0", "photon-updater-410"),
        ("rhel", "8", "", "rhel-vex", "rhel-vex-2"),
    ],
)
def test_updaters_of_distributions(did: str, version: str, codename: str, yes: str, no: str) -> None:
    """An updater counts for exactly the releases that it brings."""
    pattern = updaters_for_distribution(
        schema.Distribution(did=did, version_id=version, version_code_name=codename)
    )
    assert pattern is not None
    assert pattern.fullmatch(yes)
    assert not pattern.fullmatch(no)


def test_a_distribution_without_a_matcher_has_no_updaters() -> None:
    """What Clair cannot match is covered by nobody."""
    assert updaters_for_distribution(schema.Distribution(did="gentoo", version_id="1")) is None
    assert updaters_for_distribution(schema.Distribution(did="ubuntu", version_id="22.04")) is None
