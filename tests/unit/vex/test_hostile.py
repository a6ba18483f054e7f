# SPDX-License-Identifier: Apache-2.0
"""VEX documents made to break their reader: each is read or refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.vex.builders import CSAF, GIT, cyclonedx, known, one, openvex, refusal, relation, said

from sifgate.errors import ConfigError, PolicyError
from sifgate.vex import member, read
from sifgate.vex.product import BAD_PURL
from sifgate.vex.read import read_documents

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


@given(
    st.sampled_from([openvex(said()), CSAF, cyclonedx()]),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), min_size=1, max_size=4),
    st.integers(0, 5000),
)
def test_any_damage_is_read_or_refused(
    document: dict[str, Any], damage: list[tuple[int, bytes]], cut: int
) -> None:
    """Bytes that were changed, put in or cut off give a document or an error that names the file."""
    content = json.dumps(document).encode()
    for place, put in damage:
        at = place % len(content)
        content = content[:at] + put + content[at + len(put) :]
    problem = ""
    try:
        read_documents([("a.json", content[: cut % (2 * len(content)) + 1])])
    except PolicyError as error:
        problem = str(error)
    assert not problem or problem.startswith("a.json")
