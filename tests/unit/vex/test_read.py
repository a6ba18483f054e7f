# SPDX-License-Identifier: Apache-2.0
"""VEX documents: the three formats, what is taken from them, and hostile files that name their place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.errors import ConfigError, PolicyError
from sifgate.model.vex import VexStatus
from sifgate.vex import member, read
from sifgate.vex.cyclonedx import OTHER_BOM
from sifgate.vex.document import VexDocument
from sifgate.vex.product import BAD_PURL, IN_REGISTRY, PACKAGE_WITHIN
from sifgate.vex.read import read_documents, read_vex

SHARED = Path(__file__).resolve().parents[4] / "shared/data/vex/openvex"
DIGEST = "a1" * 32
GIT = "pkg:deb/debian/git"


def openvex(*statements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return an OpenVEX document."""
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": "https://site.example/vex/1",
        "author": "security@site.example",
        "timestamp": "2026-08-01T12:00:00+02:00",
        "version": 1,
        "statements": list(statements),
    } | fields


def said(**fields: Any) -> dict[str, Any]:
    """Return one statement of OpenVEX on git."""
    return {
        "vulnerability": {"name": "CVE-2026-1"},
        "products": [{"@id": GIT}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_present",
    } | fields


def one(document: object) -> VexDocument:
    """Return the document read from its JSON."""
    (found,) = read_documents([("a.json", json.dumps(document).encode())])
    return found


def refusal(content: bytes) -> str:
    """Return the text of the error that the content is."""
    with pytest.raises(PolicyError) as caught:
        read_documents([("a.json", content)])
    return str(caught.value)


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


def known(identity: str, **helper: str) -> dict[str, Any]:
    """Return a product of a CSAF tree, known by CPE or package URL."""
    return {"product": {"product_id": identity, "product_identification_helper": helper}}


def relation(component: str, platform: str, identity: str = "") -> dict[str, Any]:
    """Return a component on a platform."""
    return {
        "full_product_name": {"product_id": identity or f"{platform}:{component}"},
        "product_reference": component,
        "relates_to_product_reference": platform,
    }


CSAF: dict[str, Any] = {
    "document": {
        "category": "csaf_vex",
        "csaf_version": "2.0",
        "publisher": {"name": "Vendor Security"},
        "tracking": {"id": "V-1", "status": "final", "current_release_date": "2026-08-01T00:00:00Z"},
    },
    "product_tree": {
        "branches": [
            {
                "branches": [
                    known("r8", cpe="cpe:/o:redhat:enterprise_linux:8"),
                    known("other", cpe="cpe:/a:redhat:quay:3"),
                    known("curl", purl="pkg:rpm/redhat/curl?arch=src"),
                    known("go", purl="pkg:golang/example.org/x@v1"),
                ]
            }
        ],
        "relationships": [relation("curl", "r8"), relation("curl", "other")],
    },
    "vulnerabilities": [
        {
            "cve": "CVE-2026-1",
            "ids": [{"text": "GHSA-2222-3333-4444"}, {"text": "2241933"}],
            "flags": [{"label": "vulnerable_code_not_present", "product_ids": ["r8:curl"]}],
            "threats": [{"category": "impact", "details": "low"}],
            "product_status": {
                "known_not_affected": ["r8:curl", "other:curl", "nowhere"],
                "known_affected": ["go"],
            },
        }
    ],
}  # fmt: skip


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


def cyclonedx(**fields: Any) -> dict[str, Any]:
    """Return a CycloneDX document with one analysis of git."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:1",
        "metadata": {"timestamp": "2026-08-01T00:00:00Z", "supplier": {"name": "Supplier"}},
        "components": [
            {"bom-ref": "git", "purl": f"{GIT}@1.0", "components": [{"bom-ref": "in", "purl": f"{GIT}@2"}]}
        ],
        "vulnerabilities": [
            {
                "id": "CVE-2026-1",
                "analysis": {
                    "state": "false_positive",
                    "justification": "code_not_reachable",
                    "detail": "no",
                },
                "affects": [{"ref": "git"}, {"ref": "in"}],
            },
            {"id": "CVE-2026-2", "affects": [{"ref": "git"}]},
        ],
    } | fields


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


HOSTILE = {
    "nothing": (b"", "a.json:1:1: not JSON"),
    "half a file": (b'{"@context": "https://openvex.dev/ns/v0.2.0", "stat', "a.json:1:"),
    "not UTF-8": (b'{"a":\n"\xff"}', "a.json:2: the file is not UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    "a list": (b"[]", "expected an object, got a list"),
    "NaN": (b'{"version": NaN}', "NaN is not a number of JSON"),
    "infinity": (b'{"version": -Infinity}', "-Infinity is not a number of JSON"),
    "a number of 5,000 digits": (b'{"version": ' + b"9" * 5000 + b"}", "a number of 5000 digits"),
    "deep nesting": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deep"),
    "a doubled key": (
        b'{"@context": "x", "statements": [{}, {"status": "fixed", "status": "affected"}]}',
        'statements[1]: the key "status" stands twice',
    ),
    "some other JSON": (b'{"name": "package"}', "neither OpenVEX nor CSAF VEX nor CycloneDX VEX"),
    "another OpenVEX": (b'{"@context": "https://openvex.dev/ns/v9"}', "@context: expected https://openvex.dev"),
    "another BOM": (b'{"bomFormat": "SPDX"}', "bomFormat: expected one of CycloneDX"),
    "another CycloneDX": (b'{"bomFormat": "CycloneDX", "specVersion": "1.3"}', "specVersion: expected one of 1.4"),
    "another CSAF": (b'{"document": {"csaf_version": "2.1"}}', "document.csaf_version: expected one of 2.0"),
    "a document that is text": (b'{"document": "x"}', "neither OpenVEX"),
}  # fmt: skip
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a status nobody knows": ({"status": "harmless"}, "statements[0].status: expected one of not_affected"),
    "a status of another type": ({"status": 1}, "statements[0].status: expected text, got a number"),
    "no status": ({"status": None}, 'statements[0]: the member "status" is missing'),
    "a vulnerability as text": ({"vulnerability": "CVE-2026-1"}, "statements[0].vulnerability: expected an object"),
    "a vulnerability without name": ({"vulnerability": {}}, 'statements[0].vulnerability: the member "name"'),
    "aliases as text": ({"vulnerability": {"name": "CVE-1", "aliases": "x"}}, "aliases: expected a list, got text"),
    "products as object": ({"products": {}}, "statements[0].products: expected a list, got an object"),
    "a product as text": ({"products": [GIT]}, "statements[0].products[0]: expected an object"),
    "a product without end": ({"products": [{"@id": "x" * 2000}]}, "products[0].@id: expected 1 to 1000 characters"),
    "a product that moves the terminal": ({"products": [{"@id": "\u001b[2J"}]}, "control or invisible"),
    "half a surrogate pair": ({"justification": "\ud800"}, "control or invisible"),
    "a time without zone": ({"timestamp": "2026-08-01T00:00:00"}, "timestamp: expected a time with its zone"),
    "no such time": ({"timestamp": "2026-02-30T00:00:00Z"}, "timestamp: no such time"),
    "a time before all time": ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp: no such time"),
    "a time as number": ({"timestamp": 1}, "statements[0].timestamp: expected text"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_names_its_place(name: str) -> None:
    """What is no document, or was made to break the reader, is an error that names the file."""
    content, text = HOSTILE[name]
    assert text in refusal(content)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_member_names_its_place(name: str) -> None:
    """A value of the wrong kind is an error that names file and member."""
    changes, text = WRONG[name]
    found = refusal(json.dumps(openvex(said(**changes))).encode())
    assert found.startswith("a.json: ")
    assert text in found


def test_bounds_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, values, documents and statements are bounded, and the error says so."""
    content = json.dumps(openvex(said(), said())).encode()
    for module, bound in (
        (member, "MAX_BYTES"),
        (member, "MAX_VALUES"),
        (read, "MAX_DOCUMENTS"),
        (read, "MAX_STATEMENTS"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, bound, 1)
            with pytest.raises(PolicyError, match=r"b\.json|a\.json"):
                read_documents([("a.json", content), ("b.json", content)])


def test_branches_without_end_are_refused() -> None:
    """A product tree that is deeper than any real one is an error with its place."""
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"branches": [deep]}
    assert "branches are nested more than" in refusal(json.dumps(CSAF | {"product_tree": deep}).encode())
    inner: dict[str, Any] = {"bom-ref": "x"}
    for _ in range(40):
        inner = {"components": [inner]}
    assert "components are nested more than" in refusal(json.dumps(cyclonedx(components=[inner])).encode())


def test_a_package_url_that_grows_too_long_is_not_met() -> None:
    """What a document adds up to is bounded like what it says, so that judging never meets it."""
    long = json.loads(json.dumps(CSAF))
    long["product_tree"]["branches"][0]["branches"][2] = known("curl", purl="pkg:rpm/redhat/" + "x" * 980)
    document = one(long)
    assert document.unused[BAD_PURL] == 1
    entry = {
        "id": "CVE-2026-1",
        "analysis": {"state": "resolved"},
        "affects": [{"ref": "pkg:pypi/" + "x" * 980, "versions": [{"version": "1" * 50}]}],
    }
    assert one(cyclonedx(vulnerabilities=[entry])).unused == {BAD_PURL: 1}


def test_relationships_in_a_circle_end() -> None:
    """Products that are made of each other are products that cannot be met."""
    circle = json.loads(json.dumps(CSAF))
    circle["product_tree"]["relationships"] = [
        relation("other:curl", "other:curl", "r8:curl"),
        relation("r8:curl", "r8:curl", "other:curl"),
    ]
    assert one(circle).statements[0].products == ()


def test_the_error_is_of_the_callers_kind() -> None:
    """Who reads documents outside a policy gets its own error."""
    with pytest.raises(ConfigError):
        read_documents([("a.json", b"")], failure=ConfigError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@id", "name", "purl", "ref", "text", "product_ids", "status"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from([openvex(said()), CSAF, cyclonedx()]), st.data())
def test_any_value_anywhere_is_read_or_refused(document: dict[str, Any], data: st.DataObject) -> None:
    """Whatever stands in the place of a member, the answer is a document or an error that names the file."""
    changed = json.loads(json.dumps(document))
    place: Any = changed
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(JSON)
        break
    problem = ""
    try:
        one(changed)
    except PolicyError as error:
        problem = str(error)
    assert not problem or problem.startswith("a.json")


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
