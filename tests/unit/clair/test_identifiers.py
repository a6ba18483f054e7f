# SPDX-License-Identifier: Apache-2.0
"""Names and fixed versions out of the texts that Clair's updaters write."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.clair.identifiers import aliases_told, cves, fixed_version, name_and_aliases


@pytest.mark.parametrize(
    ("name", "links", "expected"),
    [
        (
            "CVE-2025-48384",
            "https://security-tracker.debian.org/tracker/CVE-2025-48384",
            ("CVE-2025-48384", ()),
        ),
        ("CVE-2022-23456 on Ubuntu 22.04 LTS (jammy) - low", "", ("CVE-2022-23456", ())),
        (
            "PYSEC-2018-28",
            "https://nvd.nist.gov/vuln/detail/CVE-2018-18074",
            ("CVE-2018-18074", ("PYSEC-2018-28",)),
        ),
        (
            "GHSA-x84v-xcm2-53pg",
            "https://x/CVE-2018-18074 https://x/PYSEC-2018-28",
            ("CVE-2018-18074", ("GHSA-x84v-xcm2-53pg", "PYSEC-2018-28")),
        ),
        ("GO-2024-1234", "https://pkg.go.dev/vuln/GO-2024-1234", ("GO-2024-1234", ())),
        (
            "ELSA-2023-0001:  x security update (IMPORTANT)",
            "https://x/CVE-2023-11111 https://x/CVE-2023-22222",
            ("ELSA-2023-0001", ("CVE-2023-11111", "CVE-2023-22222")),
        ),
        ("something odd", "", ("something odd", ())),
        ("", "", ("", ())),
    ],
)
def test_the_name_that_people_know(name: str, links: str, expected: tuple[str, tuple[str, ...]]) -> None:
    """A CVE where there is one, else the advisory's own name; the rest are aliases."""
    assert name_and_aliases(name, links) == expected


def test_a_debian_links_other_cves_are_no_aliases() -> None:
    """What an advisory of one CVE links to besides is not the same flaw."""
    assert name_and_aliases("CVE-2020-11111", "https://x/CVE-2020-22222") == ("CVE-2020-11111", ())


OSV = "https://osv.dev/vulnerability/"


def links_of(advisory: dict[str, Any]) -> str:
    """Return the links of an advisory as claircore's OSV updater writes them: references, then aliases."""
    references = [reference["url"] for reference in advisory.get("references", [])]
    return " ".join([*references, *(OSV + alias for alias in advisory.get("aliases", []))])


@pytest.mark.parametrize(
    ("advisory", "expected"),
    [
        (
            {"id": "GO-2099-0001", "aliases": ["CVE-2099-1111", "GHSA-2222-3333-4444"]},
            ("CVE-2099-1111", ("GHSA-2222-3333-4444", "GO-2099-0001")),
        ),
        (
            {"id": "PYSEC-2099-7", "aliases": ["GHSA-2222-3333-4444", "SNYK-PYTHON-X-1", "CVE-2099-1111"]},
            ("CVE-2099-1111", ("GHSA-2222-3333-4444", "PYSEC-2099-7", "SNYK-PYTHON-X-1")),
        ),
        (
            {
                "id": "GHSA-2222-3333-4444",
                "aliases": ["CVE-2099-1111"],
                "references": [{"url": "https://x/CVE-2099-9999 https://x/GHSA-5555-6666-7777"}],
            },
            ("CVE-2099-1111", ("GHSA-2222-3333-4444",)),
        ),
        (
            {"id": "GO-2099-0002", "aliases": ["CVE-2099-1111", "CVE-2099-2222"]},
            ("GO-2099-0002", ("CVE-2099-1111", "CVE-2099-2222")),
        ),
        (
            {"id": "GO-2099-0003", "aliases": ["GHSA-2222-3333-4444"]},
            ("GHSA-2222-3333-4444", ("GO-2099-0003",)),
        ),
        (
            {"id": "GHSA-2222-3333-4444", "aliases": ["GO-2099-0003"]},
            ("GHSA-2222-3333-4444", ("GO-2099-0003",)),
        ),
        (
            {"id": "GO-2099-0004", "aliases": ["GHSA-2222-3333-4444", "GHSA-5555-6666-7777"]},
            ("GO-2099-0004", ("GHSA-2222-3333-4444", "GHSA-5555-6666-7777")),
        ),
        (
            {
                "id": "GO-2099-0005",
                "aliases": ["GHSA-2222-3333-4444"],
                "references": [{"url": "https://x/CVE-2099-9999"}],
            },
            ("CVE-2099-9999", ("GHSA-2222-3333-4444", "GO-2099-0005")),
        ),
    ],
)
def test_aliases_of_language_advisories(
    advisory: dict[str, Any], expected: tuple[str, tuple[str, ...]]
) -> None:
    """All of its aliases; flaws that it only refers to count where no alias is a CVE, so that KEV misses none."""
    assert name_and_aliases(advisory["id"], links_of(advisory)) == expected


@pytest.mark.parametrize("ecosystem", ["Go", "PyPI"])
def test_aliases_of_every_real_advisory(ecosystem: str) -> None:
    """Each of the names that OSV gives a flaw finds it: thousands of real advisories."""
    archive = Path(__file__).parents[4] / "shared" / "data" / "osv" / ecosystem / "all.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not here")
    with zipfile.ZipFile(archive) as found:
        advisories = [json.loads(found.read(name)) for name in found.namelist()]
    assert len(advisories) > 1000
    for advisory in advisories:
        chosen, aliases = name_and_aliases(advisory["id"], links_of(advisory))
        named = {advisory["id"], *(alias.rstrip(",") for alias in advisory.get("aliases", []))}
        if any(alias.startswith("CVE-") for alias in named):
            assert {chosen, *aliases} == named
        else:  # then the links are all there is to read
            assert {chosen, *aliases} >= named


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ()),
        (b"null", ()),
        (b"[]", ()),
        (b'[{"space":"CVE","name":"2099-1111"},{"space":"GHSA","name":"2222-3333-4444"}]',
         ("CVE-2099-1111", "GHSA-2222-3333-4444")),
        (b'[{"space":"https://osv.dev/vulnerability/","name":"GO-2099-0001"}]', ("GO-2099-0001",)),
        (b'[{"space":"","name":""},{"space":"a b","name":"c"}]', ()),
        (b'["CVE-2099-1111"]', ()),
        (b'{"CVE": 1}', ()),
    ],
)  # fmt: skip
def test_aliases_that_a_newer_clair_tells(raw: bytes, expected: tuple[str, ...]) -> None:
    """Two parts make a name; another form is no alias and no failure."""
    assert aliases_told(raw) == expected
    name, aliases = name_and_aliases("GO-2099-0009", "", expected)
    assert {name, *aliases} == {"GO-2099-0009", *expected}


@given(st.text(), st.text())
def test_any_text_gives_a_name(name: str, links: str) -> None:
    """No text breaks it; the name is never among its aliases, which are sorted and not empty."""
    chosen, aliases = name_and_aliases(name, links)
    assert chosen not in aliases
    assert list(aliases) == sorted(set(aliases))
    assert "" not in aliases
    assert all(found == found.upper() for found in cves(name + links))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("0", ""),
        ("1:2.30.2-1+deb11u5", "1:2.30.2-1+deb11u5"),
        ("fixed=2.20.0&introduced=0", "2.20.0"),
        ("introduced=0&lastAffected=1.2", ""),
        ("fixed=", ""),
        ("fixed=1.0%2Blocal", "1.0+local"),
        ("2.0+b=1", "2.0+b=1"),
        ("introduced=" + "&a=" * 100, ""),
    ],
)
def test_fixed_versions(text: str, expected: str) -> None:
    """Plain versions as they are, query strings by their member `fixed`; no member, no fix."""
    assert fixed_version(text) == expected


VERSIONS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@given(VERSIONS, VERSIONS)
def test_query_strings_survive_the_way(fixed: str, introduced: str) -> None:
    """Whatever version an updater encodes comes out again, in any order of members."""
    for members in ({"fixed": fixed, "introduced": introduced}, {"introduced": introduced, "fixed": fixed}):
        assert fixed_version(urlencode(members)) == fixed


@given(st.text())
def test_any_text_is_decoded(text: str) -> None:
    """No text breaks the decoding."""
    assert isinstance(fixed_version(text), str)
