# SPDX-License-Identifier: Apache-2.0
"""VEX documents: the three formats, what is taken from them, and what is left out."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
import zstandard
from tests.unit.vex.builders import CSAF, DIGEST, GIT, cyclonedx, one, openvex, refusal, said

from sifgate.model.finding import Finding
from sifgate.model.image import ImageReference, OsRelease, ReferenceKind
from sifgate.model.launch import Door, LaunchEvent, Requester
from sifgate.model.verdict import ScanState, Verdict
from sifgate.model.vex import VexStatus
from sifgate.vex.cyclonedx import OTHER_BOM
from sifgate.vex.match import Statements
from sifgate.vex.product import BAD_PURL, IN_REGISTRY, PACKAGE_WITHIN
from sifgate.vex.read import read_documents, read_vex

RED_HAT = Path(__file__).resolve().parents[4] / "shared/data/rhel-vex/csaf_vex_2026-03-26.tar.zst"
SHARED = Path(__file__).resolve().parents[4] / "shared/data/vex/openvex"


def test_an_openvex_statement_is_kept_as_written() -> None:
    """Names, status, justification, text and time of the statement; its document's where it has none."""
    document = one(
        openvex(
            said(vulnerability={"name": "CVE-2026-1", "aliases": ["GHSA-2222-3333-4444"]}),
            said(
                status="affected",
                action_statement="upgrade\nto 2",
                timestamp="2026-08-02T00:00:00.123456789Z",
            ),
        )
    )
    first, second = document.statements
    assert (document.id, document.author) == ("https://site.example/vex/1", "security@site.example")
    assert first.vulnerabilities == ("CVE-2026-1", "GHSA-2222-3333-4444")
    assert (first.status, first.justification) == (VexStatus.NOT_AFFECTED, "vulnerable_code_not_present")
    assert (first.products, first.timestamp) == ((GIT,), "2026-08-01T10:00:00.000000Z")
    assert (second.statement, second.timestamp) == ("upgrade to 2", "2026-08-02T00:00:00.123456Z")


def test_an_advisory_is_no_other_name_of_a_flaw() -> None:
    """A USN repairs several flaws: what is said of one is not said of it; links name nothing."""
    aliases = ["USN-6429-1", "https://ubuntu.com/security/CVE-2026-1", "GO-2026-1"]
    document = one(openvex(said(vulnerability={"name": "CVE-2026-1", "aliases": aliases})))
    assert document.statements[0].vulnerabilities == ("CVE-2026-1", "GO-2026-1")


def test_products_are_packages_or_image_files() -> None:
    """Package URLs by `@id` or identifier, images by SHA-256 with their components apart; the rest is counted."""
    products = [
        {"@id": "git", "identifiers": {"purl": GIT}},
        {"@id": "https://site.example/image", "hashes": {"sha-256": DIGEST.upper()}},
        {"@id": f"sha256:{DIGEST}", "subcomponents": [{"@id": GIT}, {"@id": "no purl"}]},
        {"@id": "pkg:golang/example.org/k3s", "subcomponents": [{"@id": GIT}]},
        {"@id": f"pkg:oci/image@sha256:{DIGEST}"},
        {"@id": "pkg:deb"},
        {"@id": f"sha256:{DIGEST}", "subcomponents": [{"@id": "no purl"}]},
    ]
    document = one(openvex(said(products=products)))
    whole, inside = document.statements
    assert (whole.products, whole.subcomponents) == ((GIT, f"sha256:{DIGEST}"), ())
    assert (inside.products, inside.subcomponents) == ((f"sha256:{DIGEST}",), (GIT,))
    assert document.unused[PACKAGE_WITHIN] == 1
    assert (document.unused[IN_REGISTRY], document.unused[BAD_PURL]) == (1, 1)
    assert sum(document.unused.values()) == 4


def test_components_that_cannot_be_read_never_widen_to_the_whole() -> None:
    """A statement on a part of an image that cannot be told is not one on the image."""
    products = [{"@id": f"sha256:{DIGEST}", "subcomponents": [{"@id": "cpe:/a:x"}]}]
    (only,) = one(openvex(said(products=products))).statements
    assert only.products == ()


def test_a_csaf_platform_narrows_its_packages() -> None:
    """What is said of a package on one release becomes a package URL of that release; unknown platforms say nothing."""
    document = one(CSAF)
    settled, affected = document.statements
    assert (document.author, document.id, document.draft) == ("Vendor Security", "V-1", False)
    assert settled.products == ("pkg:rpm/redhat/curl?arch=src&distro=rhel-8",)
    assert settled.vulnerabilities == ("CVE-2026-1", "GHSA-2222-3333-4444")
    assert (settled.justification, settled.statement) == ("vulnerable_code_not_present", "low")
    assert (affected.status, affected.products) == (VexStatus.AFFECTED, ("pkg:golang/example.org/x@v1",))
    assert sum(document.unused.values()) == 2


def test_a_draft_sets_nothing_aside() -> None:
    """A document that its author calls a draft is listed, and its statements are not among those that count."""
    draft = json.loads(json.dumps(CSAF))
    draft["document"]["tracking"]["status"] = "draft"
    assert one(draft).draft
    assert read_vex([("a.json", json.dumps(draft).encode())]) == ()


def test_an_advisory_of_csaf_is_no_vex() -> None:
    """Other categories of CSAF say which versions are repaired, not what is not affected."""
    other = json.loads(json.dumps(CSAF))
    other["document"]["category"] = "csaf_security_advisory"
    assert "document.category: expected one of csaf_vex" in refusal(json.dumps(other).encode())


def test_a_cyclonedx_analysis_becomes_a_statement() -> None:
    """State and justification of an analysis on the components that it affects; what nobody analysed says nothing."""
    document = one(cyclonedx())
    (only,) = document.statements
    assert (document.author, document.id) == ("Supplier", "urn:uuid:1")
    assert (only.status, only.justification, only.statement) == (
        VexStatus.NOT_AFFECTED,
        "code_not_reachable",
        "no",
    )
    assert (only.products, only.timestamp) == ((f"{GIT}@1.0", f"{GIT}@2"), "2026-08-01T00:00:00.000000Z")


def test_a_cyclonedx_product_bounds_its_components() -> None:
    """Where the BOM is about a product, its components count in that image only, and nowhere without a digest."""
    component = {"bom-ref": "image", "hashes": [{"alg": "SHA-256", "content": DIGEST}]}
    inside = one(cyclonedx(metadata={"authors": [{"name": "A"}], "component": component}))
    assert inside.author == "A"
    assert inside.statements[0].products == (f"sha256:{DIGEST}",)
    assert inside.statements[0].subcomponents == (f"{GIT}@1.0", f"{GIT}@2")
    nowhere = one(cyclonedx(metadata={"component": {"bom-ref": "app", "purl": "pkg:npm/app@1"}}))
    assert nowhere.statements[0].products == ()
    assert nowhere.unused == {PACKAGE_WITHIN: 2}


def test_a_component_of_another_bom_is_not_met() -> None:
    """A BOM link speaks of a component inside a product that nobody knows here."""
    affects = [{"ref": f"urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#{GIT}@1"}]
    document = one(
        cyclonedx(
            vulnerabilities=[{"id": "CVE-1", "analysis": {"state": "not_affected"}, "affects": affects}]
        )
    )
    assert document.unused == {OTHER_BOM: 1}
    assert document.statements[0].products == ()


def test_versions_of_cyclonedx_narrow_a_package() -> None:
    """Versions that are affected are judged by the analysis; ranges and versions that never were are not met."""
    versions = [{"version": "1"}, {"version": "2", "status": "unaffected"}, {"range": "vers:deb/>=3"}]
    entry = {
        "id": "CVE-2026-1",
        "analysis": {"state": "resolved"},
        "affects": [{"ref": "pkg:pypi/x", "versions": versions}],
    }
    document = one(cyclonedx(vulnerabilities=[entry]))
    assert document.statements[0].products == ("pkg:pypi/x@1",)
    assert sum(document.unused.values()) == 2


@pytest.mark.parametrize(
    ("name", "author", "statements", "met"),
    [
        ("pkg_golang_github.com_k3s-io_k3s_scan.openvex.json.gz", "Rancher Security team", 806, 0),
        ("ubuntu-CVE-2023-38545.openvex.json.gz", "Canonical Ltd.", 3, 300),
        ("trivy-csaf.json", "Example Company ProductCERT", 1, 1),
        ("trivy-cyclonedx.json", "", 2, 0),
        ("trivy-openvex.json", "Aqua Security", 1, 1),
        ("trivy-openvex-nested.json", "Aqua Security", 1, 0),
        ("trivy-openvex-oci.json", "Aqua Security", 1, 0),
    ],
)
def test_documents_of_others_are_read(name: str, author: str, statements: int, met: int) -> None:
    """Real documents: all statements are kept, and only products that an image can show are met."""
    path = SHARED / name
    if not path.exists():
        pytest.skip("needs ../shared/data/vex")
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    (document,) = read_documents([(name, content)])
    assert (document.author, len(document.statements)) == (author, statements)
    products = sum(len(statement.products) for statement in document.statements)
    assert products >= met
    assert bool(products) is bool(met)


def test_what_red_hat_says_of_one_release_is_not_said_of_another() -> None:
    """Fifteen real documents: all are read, and curl of RHEL 6, not affected, is not curl of RHEL 9."""
    if not RED_HAT.exists():
        pytest.skip("needs ../shared/data/rhel-vex")
    raw = zstandard.ZstdDecompressor().stream_reader(RED_HAT.open("rb")).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        files = [entry for entry in archive if entry.isfile()]
        contents = [(entry.name, member.read()) for entry in files if (member := archive.extractfile(entry))]
    statements = Statements(read_vex(contents), ("Red Hat*",))
    curl = Finding("CVE-2023-38545", "curl", "7.76.1-1.el9", source="curl", arch="x86_64", manager="rpm")
    launch = LaunchEvent(Door.CLI, Requester(0), ImageReference("x", ReferenceKind.PATH, "/x"))
    settled = {
        release: statements.of(
            curl, Verdict("f" * 64, ScanState.KNOWN, os_release=OsRelease("rhel", release)), launch
        )
        for release in ("6.10", "7.9", "8.8", "9.2")
    }
    assert [release for release, statement in settled.items() if statement is not None] == [
        "6.10",
        "7.9",
        "8.8",
    ]
