# SPDX-License-Identifier: Apache-2.0
"""Conditions from text and situations around them, and hypothesis strategies for both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st
from tests.unit.policy.builders import NOON, finding, launch, standing

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.model.finding import Finding, Score, Severity
from sifgate.model.image import ImageFacts
from sifgate.model.verdict import ScanState
from sifgate.policy.conditions.family import Situation, Truth
from sifgate.policy.conditions.grouping import grouped
from sifgate.policy.conditions.when import Match, When, parse_when

FALSE, UNKNOWN, TRUE = Truth.FALSE, Truth.UNKNOWN, Truth.TRUE
OPPOSITE = {FALSE: TRUE, UNKNOWN: UNKNOWN, TRUE: FALSE}


def when(text: str | dict[str, Any]) -> When:
    """Return the `when` that a text in YAML, or a value, states."""
    return _parsed(text if isinstance(text, str) else json.dumps(text))


def situation(
    *findings: Finding,
    now: datetime = NOON,
    image: ImageFacts | None = None,
    paid: Sequence[str] = (),
    state: ScanState | None = None,
    **verdict: Any,
) -> Situation:
    """Return the situation of an image of Debian 11 with these findings, each in a group of its own."""
    known = standing(*findings, **verdict).verdict
    assert known is not None
    return Situation(
        verdict=known,
        launch=launch(image=image or ImageFacts()),
        now=now,
        groups=grouped(findings, ()) if len(findings) < 2 else tuple(_apart(findings)),
        extended_support=tuple(paid),
        state=state,
    )


def truth(text: str | dict[str, Any], around: Situation) -> Truth:
    """Return what a `when` says of a situation, as it would count with either `on_unknown`."""
    asked = when(text)
    if match(asked, around).met:
        return TRUE
    return UNKNOWN if match(asked, around, unknown_counts=True).met else FALSE


def match(asked: When, around: Situation, *, unknown_counts: bool = False) -> Match:
    """Return the match, with nothing remembered from another question."""
    return asked.match(replace(around, _made={}), unknown_counts=unknown_counts)


def of(text: str | dict[str, Any], **fields: Any) -> Truth:
    """Return what a `when` says of an image with one finding that has these fields."""
    return truth(text, situation(finding(**fields)))


def read_anew(text: str) -> When:
    """Return the `when` that a text states, whether it was read before or not."""
    return parse_when(yamlfile.parse(text.encode(), "when.yaml", failure=PolicyError))


_parsed = lru_cache(maxsize=4096)(read_anew)


def _apart(findings: Sequence[Finding]) -> list[Any]:
    return [group for each in findings for group in grouped([each], ())]


INSTANTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001  # the zone is the strategy's
    max_value=datetime(2099, 12, 31),  # noqa: DTZ001
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31))
SCORES = st.integers(0, 100).map(lambda tenths: tenths / 10)
LEAVES: list[dict[str, Any]] = [
    {"severity": ">= high"},
    {"severity": ["unknown"]},
    {"fixable": True},
    {"kev": False},
    {"cvss": ">= 7.0"},
    {"cvss": {"score": "< 4.0", "version": ["2.0", "3.x"]}},
    {"epss": "> 0.5"},
    {"cve": ["CVE-2025-0001", "GHSA-aaaa-bbbb-cccc"]},
    {"package": ["git", "lib*"]},
    {"package": {"purl": "pkg:deb/debian/git@1.*"}},
    {"package": {"path": "/opt/**", "manager": ["dpkg", "python"]}},
    {"published": {"for": "30d"}},
    {"fix_age": {"within": "10d"}},
    {"first_seen": {"of": "site", "for": "1d"}},
    {"support_ended": True},
]
"""Conditions about findings."""
OF_IMAGE: list[dict[str, Any]] = [
    {"distro": {"eol": True}},
    {"distro": {"id": ["alpine", "debian"]}},
    {"image_age": ">= 30d"},
    {"scan_age": "< 7d"},
    {"advisories_age": "> 48h"},
    {"scan_state": ["partial"]},
    {"coverage": {"advisories": False}},
    {"owner": "root"},
    {"signed_by": "any"},
]
"""Conditions about the image, counts aside."""


def trees(leaves: list[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for a `when` of one key: a leaf, or a tree of them."""
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda items: {"all": items}),
            st.lists(inner, min_size=1, max_size=3).map(lambda items: {"any": items}),
            st.tuples(inner, inner).map(lambda pair: {"any": [pair[0] | pair[1]]}),
            st.tuples(inner, inner).map(lambda pair: {"not": pair[0] | pair[1]}),
        ),
        max_leaves=6,
    )


def some_day(offset: int | None) -> str:
    """Return the ISO date so many days before the day of `NOON`; empty for None."""
    return "" if offset is None else (NOON.date() - timedelta(days=offset)).isoformat()


DATES = st.one_of(st.none(), st.sampled_from((-1, 0, 1, 2, 9, 10, 11, 29, 30, 31))).map(some_day)
FINDINGS = st.builds(
    finding,
    vulnerability=st.integers(0, 6).map(lambda number: f"CVE-2025-000{number}"),
    aliases=st.sampled_from(((), ("GHSA-aaaa-bbbb-cccc",), ("X-1", "ghsa-AAAA-bbbb-cccc"))),
    package=st.sampled_from(("git", "libx", "openssl")),
    manager=st.sampled_from(("", "dpkg", "python")),
    path=st.sampled_from(("", "opt/a/b", "/opt/x", "var/lib/dpkg/status")),
    severity=st.sampled_from(list(Severity)),
    fixed_version=st.sampled_from(("", "2")),
    kev=st.booleans(),
    cvss=st.one_of(st.just(-1.0), SCORES),
    scores=st.lists(st.builds(Score, st.sampled_from(("2.0", "3.0", "3.1", "4.0")), SCORES), max_size=2).map(
        tuple
    ),
    epss=st.sampled_from((-1.0, 0.0, 0.5, 0.50001, 1.0, float("nan"))),
    published=DATES,
    fix_available=DATES,
    first_seen_site=DATES,
    support_ended=st.sampled_from((None, True, False)),
)
