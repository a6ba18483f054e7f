# SPDX-License-Identifier: Apache-2.0
"""Names and fixed versions out of the texts that Clair's updaters write."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.clair.identifiers import cves, fixed_version, name_and_aliases


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
