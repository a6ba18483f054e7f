# SPDX-License-Identifier: Apache-2.0
"""`cvss` and `epss`: exact at every border, by version, and never "unknown" at the top."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policy.condition_values import FALSE, SCORES, TRUE, UNKNOWN, of

from sifgate.model.finding import Score
from sifgate.policy.conditions.family import Truth

BORDERS = (0.0, 0.1, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0, 10.0)
BANDS: dict[str, dict[str, Any]] = {
    "none": {"cvss": "= 0.0"},
    "low": {"all": [{"cvss": "> 0.0"}, {"cvss": "< 4.0"}]},
    "medium": {"all": [{"cvss": ">= 4.0"}, {"cvss": "< 7.0"}]},
    "high": {"all": [{"cvss": ">= 7.0"}, {"cvss": "< 9.0"}]},
    "critical": {"cvss": ">= 9.0"},
}
"""The bands of CVSS 3.1 and 4.0 as rules."""
LAST = {"none": 0.0, "low": 3.9, "medium": 6.9, "high": 8.9, "critical": 10.0}


def band(score: float) -> str:
    """Return the band of a score, by the last score of each."""
    return next(name for name, last in LAST.items() if score <= last)


@pytest.mark.parametrize("tenths", range(101))
def test_every_score_is_in_its_band_and_no_other(tenths: int) -> None:
    """All hundred and one scores, at the borders and between."""
    score = tenths / 10
    assert [name for name, rule in BANDS.items() if of(rule, cvss=score) is TRUE] == [band(score)]


@given(border=st.sampled_from(BORDERS), away=st.integers(-1, 1), noise=st.floats(-0.01, 0.01))
def test_scores_are_compared_in_tenths(border: float, away: int, noise: float) -> None:
    """A score that a computation has blurred stands where its first decimal says."""
    score = min(10.0, max(0.0, round(border + away / 10, 1)))
    blurred = min(10.0, max(0.0, score + noise))
    written = {">=": score >= border, "<=": score <= border, "=": score == border}
    if border < 10:
        written[">"] = score > border
    if border > 0:
        written["<"] = score < border
    for sign, expected in written.items():
        assert of({"cvss": f"{sign} {border}"}, cvss=blurred) is Truth.of(expected)


@given(
    scores=st.dictionaries(st.sampled_from(("2.0", "3.0", "3.1", "4.0")), SCORES),
    named=st.lists(st.sampled_from(("2.0", "3.x", "3.0", "3.1", "4.0")), min_size=1),
    border=SCORES,
)
def test_highest_score_of_the_named_versions_counts(
    scores: dict[str, float], named: list[str], border: float
) -> None:
    """A score of another version neither helps nor harms; without one nothing is known."""
    versions = {version for word in named for version in ({"3.0", "3.1"} if word == "3.x" else {word})}
    known = [score for version, score in scores.items() if version in versions]
    rule = {"cvss": {"score": f">= {border}", "version": named}}
    given_scores = tuple(Score(version, score) for version, score in sorted(scores.items()))
    expected = Truth.of(max(known) >= border) if known else UNKNOWN
    assert of(rule, scores=given_scores, cvss=10.0) is expected


@pytest.mark.parametrize("value", [-1.0, 10.1, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("rule", [{"cvss": ">= 0.0"}, {"cvss": "<= 10"}, {"not": {"cvss": "> 5"}}])
def test_what_is_no_score_is_unknown(value: float, rule: dict[str, Any]) -> None:
    """A number outside the scale comes from a broken feed and says nothing."""
    assert of(rule, cvss=value) is UNKNOWN


@given(value=st.floats(0, 1), border=st.integers(1, 99))
def test_probability_is_compared_exactly(value: float, border: int) -> None:
    """Each sign around borders of two decimals."""
    number = border / 100
    for sign, expected in {
        ">=": value >= number, ">": value > number, "<=": value <= number, "<": value < number, "=": value == number
    }.items():  # fmt: skip
        assert of({"epss": f"{sign} {border / 100:.2f}"}, epss=value) is Truth.of(expected)


@pytest.mark.parametrize("value", [-1.0, 1.0001, math.nan])
def test_what_is_no_probability_is_unknown(value: float) -> None:
    """Nobody has computed one, or the feed is broken."""
    assert of({"epss": ">= 0"}, epss=value) is UNKNOWN


@pytest.mark.parametrize(("text", "value", "expected"), [(">= 0.10", 0.1, TRUE), ("> 0.1", 0.1, FALSE)])
def test_border_of_a_probability(text: str, value: float, expected: Truth) -> None:
    """The border itself, however it is written."""
    assert of({"epss": text}, epss=value) is expected
