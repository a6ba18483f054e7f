# SPDX-License-Identifier: Apache-2.0
"""CVSS scores out of Clair's enrichments."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.clair.enrichments import cvss_scores, severity_of_score, severity_of_scores
from sifgate.model.finding import Score, Severity

KEY = "message/vnd.clair.map.vulnerability; enricher=clair.cvss schema=https://csrc.nist.gov/x.schema"


def raw(value: object) -> msgspec.Raw:
    """Return a value as the undecoded JSON that a report carries."""
    return msgspec.Raw(json.dumps(value).encode())


def test_the_highest_base_score_of_each_version_counts() -> None:
    """Several scores of one vulnerability: each version's gravest, in the versions' order."""
    blob = raw(
        {
            "7": [
                {"version": "3.1", "baseScore": 5.3},
                {"version": "3.0", "baseScore": 9.8},
                {"version": "3.1", "baseScore": 4.0},
            ],
            "8": [{"baseScore": 0}],
            "9": [{"vectorString": "CVSS:4.0/AV:N/AC:L", "baseScore": 8.7}],
        }
    )
    assert cvss_scores({KEY: [blob]}) == {
        "7": (Score("3.0", 9.8), Score("3.1", 5.3)),
        "8": (Score("", 0.0),),
        "9": (Score("4.0", 8.7),),
    }


def test_the_schema_in_the_key_does_not_matter() -> None:
    """The key is recognised by its enricher; other enrichers are left alone."""
    blob = raw({"7": [{"version": "3.1", "baseScore": 5.3}]})
    enrichments = {"x; enricher=clair.cvss schema=none": [blob], "x; enricher=clair.epss": [blob]}
    assert cvss_scores(enrichments) == {"7": (Score("3.1", 5.3),)}


def test_a_malformed_score_costs_no_other_vulnerability_its_own() -> None:
    """Clair sends one object for all vulnerabilities: a damaged entry in it loses only itself."""
    blob = raw({"7": [{"version": "3.1", "baseScore": "high"}], "8": [{"version": "3.1", "baseScore": 5.3}]})
    assert cvss_scores({KEY: [blob]}) == {"8": (Score("3.1", 5.3),)}


@pytest.mark.parametrize(
    "value",
    [
        [],
        "x",
        None,
        {"7": None},
        {"7": [{"baseScore": "high"}]},
        {"7": [{"baseScore": 11}]},
        {"7": [{}]},
        {"7": []},
    ],
)
def test_malformed_scores_are_no_scores(value: object) -> None:
    """A damaged entry counts as absent: a score is an addition, never the finding itself."""
    assert cvss_scores({KEY: [raw(value)]}) == {}
    assert cvss_scores({KEY: None}) == {}
    assert cvss_scores(None) == {}


BANDS = [
    *((-1.0, Severity.UNKNOWN), (0.0, Severity.NEGLIGIBLE)),
    *((0.1, Severity.LOW), (3.9, Severity.LOW)),
    *((4.0, Severity.MEDIUM), (6.9, Severity.MEDIUM)),
    *((7.0, Severity.HIGH), (8.9, Severity.HIGH)),
    *((9.0, Severity.CRITICAL), (10.0, Severity.CRITICAL)),
]


@pytest.mark.parametrize(("score", "severity"), BANDS)
def test_bands(score: float, severity: Severity) -> None:
    """The bands of CVSS v3.1 §5, at both ends of each."""
    assert severity_of_score(score) is severity


@pytest.mark.parametrize("written", ["10.0", "10", "1e1"])
def test_ten_is_critical_however_it_is_written(written: str) -> None:
    """The highest score there is does not fall out of the last band (Quay's does)."""
    blob = msgspec.Raw(b'{"7": [{"version": "3.1", "baseScore": ' + written.encode() + b"}]}")
    scores = cvss_scores({KEY: [blob]})["7"]
    assert scores == (Score("3.1", 10.0),)
    assert severity_of_scores(scores) is Severity.CRITICAL


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (-1.0, Severity.UNKNOWN),
        (0.0, Severity.LOW),
        (3.9, Severity.LOW),
        (4.0, Severity.MEDIUM),
        (7.0, Severity.HIGH),
        (10.0, Severity.HIGH),
    ],
)
def test_bands_of_the_second_version(score: float, severity: Severity) -> None:
    """CVSS v2 knows neither None nor Critical."""
    assert severity_of_score(score, "2.0") is severity


def test_no_scores_are_unknown() -> None:
    """Nothing said is not nothing wrong; of several versions the gravest band counts."""
    assert severity_of_scores(()) is Severity.UNKNOWN
    assert severity_of_scores((Score("2.0", 10.0), Score("3.1", 5.0))) is Severity.HIGH


@given(st.floats(0, 10), st.floats(0, 10))
def test_a_higher_score_is_never_a_lower_severity(one: float, two: float) -> None:
    """The bands are ordered as the scores are."""
    low, high = sorted((one, two))
    assert severity_of_score(low) <= severity_of_score(high)
