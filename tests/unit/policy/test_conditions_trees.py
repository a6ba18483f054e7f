# SPDX-License-Identifier: Apache-2.0
"""`all`, `any`, `not`: Kleene's laws, findings and image together, and one more finding never loosens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.builders import finding
from tests.unit.policy.condition_values import (
    FALSE,
    FINDINGS,
    LEAVES,
    OF_IMAGE,
    OPPOSITE,
    TRUE,
    UNKNOWN,
    match,
    of,
    situation,
    trees,
    truth,
    when,
)

from sifgate.errors import PolicyError
from sifgate.model.finding import Finding, Severity
from sifgate.model.image import ImageFacts
from sifgate.model.verdict import Coverage, EndOfLife
from sifgate.policy.conditions.family import Situation, Truth
from sifgate.policy.conditions.tree import AllCondition, AnyCondition, NotCondition

LEAF: dict[Truth, dict[str, Any]] = {
    FALSE: {"kev": True},
    UNKNOWN: {"epss": ">= 0.5"},
    TRUE: {"fixable": True},
}
"""A condition with each answer for the finding of the tests below."""
TRUTHS = (FALSE, UNKNOWN, TRUE)
ANY_FINDINGS = (
    finding(kev=True, severity=Severity.CRITICAL, cvss=9.0, epss=0.9),
    finding(package="zlib", severity=Severity.LOW, fixed_version="", cvss=1.0, epss=0.0),
    finding(severity=Severity.UNKNOWN, manager=""),
)
"""Some of those that an image without findings could have."""
SITUATIONS = st.builds(
    lambda findings, owner, built, ends, signers, advisories: situation(
        *findings,
        image=ImageFacts(owner=owner, created=built, signers=signers),
        end_of_life=EndOfLife(eol=ends),
        coverage=Coverage(advisories=advisories),
    ),
    st.lists(FINDINGS, max_size=4),
    st.sampled_from(("", "root", "alice")),
    st.sampled_from(("", "2026-08-31T00:00:00Z", "2020-01-01T00:00:00Z")),
    st.sampled_from(("", "2026-08-31", "2027-01-01")),
    st.sampled_from((None, (), ("A" * 40,))),
    st.booleans(),
)


def plainly(rule: dict[str, Any], around: Situation, found: Finding | None) -> Truth:
    """Return what a `when` says of one finding, written as the documentation reads."""
    answers = []
    for key, value in rule.items():
        if key == "all":
            answers.append(min(plainly(item, around, found) for item in value))
        elif key == "any":
            answers.append(max(plainly(item, around, found) for item in value))
        elif key == "not":
            answers.append(OPPOSITE[plainly(value, around, found)])
        else:
            part = (*when({key: value}).findings, *when({key: value}).image)[0]
            answers.append(part.test(found or finding(), around))
    return min(answers)


@pytest.mark.parametrize("first", TRUTHS)
@pytest.mark.parametrize("second", TRUTHS)
def test_tables_of_truth(first: Truth, second: Truth) -> None:
    """All nine pairs: and is the least, or the greatest, not the opposite, of unknown too."""
    both = [LEAF[first], LEAF[second]]
    assert of({"all": both}) is min(first, second)
    assert of({"any": both}) is max(first, second)
    assert of({"not": LEAF[first]}) is OPPOSITE[first]
    assert of({"not": {"any": both}}) is min(OPPOSITE[first], OPPOSITE[second])
    assert of({"not": {"all": both}}) is max(OPPOSITE[first], OPPOSITE[second])
    assert of({"not": LEAF[first] | LEAF[second]}) is max(OPPOSITE[first], OPPOSITE[second])
    assert of({"any": [LEAF[first] | LEAF[second]]}) is min(first, second)


@given(tree=trees(LEAVES), other=trees(LEAVES), found=FINDINGS)
@settings(max_examples=150)
def test_laws_of_kleene(tree: dict[str, Any], other: dict[str, Any], found: Finding) -> None:
    """Twice not is nothing, De Morgan, order and repetition do not count."""
    around = situation(found)

    def said(rule: dict[str, Any]) -> Truth:
        return truth(rule, around)

    assert said({"not": {"not": tree}}) is said(tree)
    assert said({"not": {"all": [tree, other]}}) is said({"any": [{"not": tree}, {"not": other}]})
    assert said({"not": {"any": [tree, other]}}) is said({"all": [{"not": tree}, {"not": other}]})
    assert said({"all": [tree, other]}) is said({"all": [other, tree, other]})
    assert said({"any": [tree, other]}) is said({"any": [other, tree, other]})
    assert said({"all": [tree, {"any": [tree, other]}]}) is said(tree)


@given(tree=trees(LEAVES + OF_IMAGE), more=st.sampled_from(LEAVES + OF_IMAGE), around=SITUATIONS)
@settings(max_examples=300)
def test_trees_agree_with_the_plain_reading(
    tree: dict[str, Any], more: dict[str, Any], around: Situation
) -> None:
    """Mixed trees beside other conditions, judged finding by finding with nothing shared."""
    rule = more | tree
    answers = [plainly(rule, around, group.sample) for group in around.groups]
    asked = when(rule)
    if not asked.findings:
        assert truth(rule, around) is plainly(rule, around, None)
    elif answers:
        assert truth(rule, around) is max(answers)
    else:
        assert truth(rule, around) <= min(plainly(rule, around, found) for found in ANY_FINDINGS)


@given(tree=trees(LEAVES + OF_IMAGE), around=SITUATIONS, found=FINDINGS, lenient=st.booleans())
@settings(max_examples=300)
def test_one_more_finding_never_loosens(
    tree: dict[str, Any], around: Situation, found: Finding, *, lenient: bool
) -> None:
    """Whatever a tree says of an image, it says with one more finding too."""
    asked = when({"any": [tree, {"count": {"over": 2, "fixable": True}}]})
    before = match(asked, around, unknown_counts=lenient)
    more = situation(
        *(group.sample for group in around.groups),
        found,
        image=around.launch.image,
        end_of_life=around.verdict.end_of_life,
        coverage=around.verdict.coverage,
    )
    assert match(asked, more, unknown_counts=lenient).met >= before.met


def test_conditions_hold_for_one_finding_together() -> None:
    """A tree inside a `when` speaks of the same finding as what stands beside it."""
    exploited = finding(kev=True, fixed_version="")
    fixable = finding(vulnerability="CVE-2025-2")
    rule = {"fixable": True, "any": [{"kev": True}, {"severity": ">= critical"}]}
    assert truth(rule, situation(exploited, fixable)) is FALSE
    assert truth(rule, situation(exploited, finding(severity=Severity.CRITICAL))) is TRUE


def test_image_alone_can_decide_a_mixed_tree() -> None:
    """An image past its end of life is old without any finding; one that is not known to be is undecided."""
    rule = {"any": [{"kev": True}, {"distro": {"eol": True}}]}
    old = situation(end_of_life=EndOfLife(eol="2020-01-01"))
    found = match(when(rule), old)
    assert (found.met, found.groups) == (True, ())
    assert when(rule).say(old, 0) == "Debian 11 reached its end of life on 2020-01-01"
    assert truth(rule, situation(end_of_life=EndOfLife(eol="2030-01-01"))) is FALSE
    unknown = match(when(rule), situation(end_of_life=EndOfLife()))
    assert (unknown.met, unknown.skipped) == (False, True)
    assert truth({"fixable": True} | rule, old) is FALSE


def test_count_in_a_tree_names_its_findings() -> None:
    """What was counted is shown with the rule, also from within a tree, each once."""
    around = situation(finding(), finding(vulnerability="CVE-2", kev=True))
    rule = {"any": [{"count": {"over": 1}}, {"count": {"kev": True, "over": 0}}, {"count": {"over": 9}}]}
    found = match(when(rule), around)
    assert found.met
    assert sorted(group.sample.vulnerability for group in found.groups) == ["CVE-2", "CVE-2025-48384"]


def test_count_that_only_the_unknown_pass_names_them() -> None:
    """Where the unknown counts, so do the findings that lack data."""
    around = situation(finding(epss=-1.0), finding(vulnerability="CVE-2", epss=0.9))
    asked = when({"any": [{"count": {"epss": ">= 0.5", "over": 1}}, {"owner": "root"}]})
    assert not match(asked, around).met
    found = match(asked, around, unknown_counts=True)
    assert sorted(group.sample.vulnerability for group in found.groups) == ["CVE-2", "CVE-2025-48384"]


@pytest.mark.parametrize(
    "inner",
    ["{count: {over: 1}}", "{all: [{any: [{kev: true, count: {over: 1}}]}]}", "{not: {count: {over: 1}}}"],
)
def test_count_under_not_is_refused(inner: str) -> None:
    """One more vulnerability would make the rule fall silent."""
    with pytest.raises(PolicyError, match='"count" cannot stand under "not"'):
        when(f"{{not: {inner}}}")


def test_what_a_tree_reads_is_what_its_parts_read() -> None:
    """Attributes, launch fields and what it is about come up from any depth."""
    asked = when({"any": [{"not": {"all": [{"epss": "> 0.1"}, {"owner": "root"}]}}, {"cvss": "> 1"}]})
    assert asked.reads() == {"epss", "cvss"}
    assert asked.launch_fields() == {"image.owner"}
    assert (asked.about_findings, asked.about_unscanned) == (True, True)
    of_image = when({"not": {"any": [{"distro": {"eol": True}}]}})
    assert (of_image.findings, of_image.about_findings, of_image.about_unscanned) == ((), False, False)
    assert when({"any": [{"count": {"over": 1}}, {"owner": "root"}]}).about_findings


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            {"any": [{"kev": True}, {"fixable": True}]},
            "2 vulnerabilities that are known-exploited or with a fix",
        ),
        (
            {"severity": "= high", "not": {"package": "linux*"}},
            "2 high vulnerabilities that are not in linux*",
        ),
        (
            {"any": [{"kev": True, "fixable": True}, {"not": {"severity": ">= high"}}]},
            "2 vulnerabilities that are (known-exploited with a fix) or not (high or critical)",
        ),
        (
            {"all": [{"kev": True}, {"fixable": True}], "owner": "alice"},
            "2 known-exploited vulnerabilities with a fix, the image belongs to alice",
        ),
    ],
)
def test_trees_in_words(rule: dict[str, Any], sentence: str) -> None:
    """What people read in the notice."""
    around = situation(finding(), finding(kev=True), image=ImageFacts(owner="alice"))
    assert when(rule).say(around, 2) == sentence


def test_families_of_trees_are_apart() -> None:
    """Equal parts under another word are another condition, in the digest too."""
    parts = when({"kev": True}).findings
    assert len({AllCondition(parts), AnyCondition(parts), NotCondition(parts)}) == 3
