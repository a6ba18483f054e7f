# SPDX-License-Identifier: Apache-2.0
"""Groups of findings: the same answers as one by one, few of them, and counts of distinct vulnerabilities."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.policy.builders import NOON, finding
from tests.unit.policy.condition_values import (
    FINDINGS,
    LEAVES,
    OF_IMAGE,
    TRUE,
    UNKNOWN,
    match,
    read_anew,
    situation,
    some_day,
    trees,
    truth,
    when,
)

from sifgate.model.finding import Finding, Score, Severity
from sifgate.policy.conditions.column import Column, plain
from sifgate.policy.conditions.family import TIER, Situation
from sifgate.policy.conditions.grouping import grouped
from sifgate.policy.conditions.vocabulary import VOCABULARY
from sifgate.policy.conditions.when import When

MANY = 5_000


def in_groups(around: Situation, findings: list[Finding], *asked: When, coarse: bool = True) -> Situation:
    """Return the situation with its findings in the groups of some rules, by their columns or by what they read."""
    columns: list[Column] = list(plain(TIER))
    for each in asked:
        columns += each.columns(around) if coarse else plain(each.reads())
    return replace(around, groups=grouped(findings, columns), _made={})


@given(
    tree=trees(LEAVES + OF_IMAGE),
    other=trees(LEAVES),
    findings=st.lists(FINDINGS, max_size=12),
    lenient=st.booleans(),
    over=st.integers(0, 3),
)
@settings(max_examples=200)
def test_groups_answer_as_single_findings_do(
    tree: dict[str, Any], other: dict[str, Any], findings: list[Finding], *, lenient: bool, over: int
) -> None:
    """By columns and by attributes alike: the same answer, and the same findings speak for it."""
    asked = when({"any": [tree, {"all": [{"count": {"over": over, "any": [other]}}, other]}]})
    alone = situation(*findings)
    expected = match(asked, alone, unknown_counts=lenient)
    for coarse in (True, False):
        around = in_groups(situation(), findings, asked, when(other), coarse=coarse)
        found = match(asked, around, unknown_counts=lenient)
        assert (found.met, found.skipped) == (expected.met, expected.skipped)
        assert speaking(found.groups) == speaking(expected.groups)


def speaking(groups: Any) -> set[int]:
    """Return which findings are in some groups."""
    return {id(each) for group in groups for each in group.findings}


@given(findings=st.lists(FINDINGS, max_size=12))
def test_every_finding_is_in_one_group(findings: list[Finding]) -> None:
    """None is lost and none is there twice, in their order."""
    for columns in ((), plain({"severity", "cvss"}), (Column(("epss", "kev"), bool),)):
        groups = grouped(findings, columns)
        assert sorted(id(each) for group in groups for each in group.findings) == sorted(map(id, findings))
        assert [group.sample for group in groups] == sorted(
            (group.sample for group in groups), key=lambda each: [id(f) for f in findings].index(id(each))
        )


def test_attribute_that_is_told_by_itself_hides_no_other() -> None:
    """What a key makes of two attributes is still asked where one of them is told as it is."""
    findings = [finding(package=name, manager=manager) for name in "ab" for manager in ("dpkg", "rpm")]
    is_a = Column(("manager", "package"), lambda values: values[1] == "a")
    assert len(grouped(findings, (*plain({"manager"}), is_a))) == 4
    assert len(grouped(findings, (*plain({"manager", "package"}), is_a))) == 4
    assert len(grouped(findings, (is_a,))) == 2


@given(
    findings=st.lists(FINDINGS, max_size=12), inner=trees(LEAVES), over=st.integers(0, 6), twice=st.booleans()
)
@settings(max_examples=200)
def test_count_is_of_distinct_vulnerabilities(
    findings: list[Finding], inner: dict[str, Any], over: int, *, twice: bool
) -> None:
    """One that is in many packages counts once; the same findings again change nothing."""
    rule = when(inner)
    sure, possible = set(), set()
    for each in findings:
        said = truth(inner, situation(each))
        if said is TRUE:
            sure.add(each.vulnerability)
        if said >= UNKNOWN:
            possible.add(each.vulnerability)
    counted = when({"count": {"over": over, "all": [inner]}})
    around = in_groups(situation(), findings * (1 + twice), rule, counted)
    assert match(counted, around).met is (len(sure) > over)
    assert match(counted, around, unknown_counts=True).met is (len(possible) > over)
    if match(counted, around).met:
        assert {
            each.vulnerability for group in match(counted, around).groups for each in group.findings
        } == sure


def many(source: random.Random) -> list[Finding]:
    """Return a verdict's worth of findings of which nearly every one has scores and dates of its own."""
    return [
        finding(
            vulnerability=f"CVE-2025-{1000 + number % 3000}",
            package=f"p{source.randrange(300)}",
            severity=Severity(source.randrange(6)),
            kev=source.random() < 0.01,
            fixed_version=source.choice(("", "2")),
            cvss=source.randrange(101) / 10,
            scores=(Score("3.1", source.randrange(101) / 10),),
            epss=source.random(),
            published=some_day(source.randrange(4000)),
            fix_available=some_day(source.randrange(4000)),
            first_seen_site=some_day(source.randrange(4000)),
        )
        for number in range(MANY)
    ]


def test_dates_and_scores_make_few_groups() -> None:
    """Five thousand findings that all differ are judged as some dozens, with the same answers."""
    findings = many(random.Random(5))  # noqa: S311  # reproducible, not secret
    rules = [
        when(rule)
        for rule in (
            {"severity": ">= critical", "fixable": True, "fix_age": {"for": "30d"}},
            {"epss": ">= 0.1", "published": {"for": "90d"}},
            {"cvss": ">= 9.0", "first_seen": {"of": "site", "for": "14d"}},
            {"cvss": {"score": ">= 7.0", "version": "3.x"}, "cve": ["CVE-2025-1001", "CVE-2025-1002"]},
        )
    ]
    around = in_groups(situation(), findings, *rules)
    apart = in_groups(situation(), findings, *rules, coarse=False)
    assert len(apart.groups) == MANY
    assert len(around.groups) < MANY / 20
    for rule in rules:
        assert speaking(match(rule, around).groups) == speaking(match(rule, apart).groups)
        assert set(rule.clocks(around)) == set(rule.clocks(apart))


SAMPLES = [*LEAVES, *OF_IMAGE, {"count": {"over": 2, "not": {"kev": True}}}, {"any": [{"kev": True}]}]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_what_is_read_is_an_attribute(sample: dict[str, Any]) -> None:
    """Findings and launches have what a condition says that it reads, and its columns read nothing else."""
    asked = when(sample)
    around = situation(finding(), now=NOON)
    assert all(hasattr(finding(), name) for name in asked.reads())
    columns = {name for column in asked.columns(around) for name in column.attributes}
    assert columns - {"fixed_version"} <= asked.reads()
    for name in asked.launch_fields():
        value: Any = around.launch
        for part in name.split("."):
            value = getattr(value, part)


def test_every_family_is_in_the_samples() -> None:
    """The tests above are about all of them."""
    words = {key for sample in SAMPLES for key in sample} | {"all", "not"}
    assert words == set(VOCABULARY)


@given(first=trees(LEAVES + OF_IMAGE), second=trees(LEAVES + OF_IMAGE))
@settings(max_examples=100)
def test_digest_tells_conditions_apart(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Equal conditions have equal bytes, however often they are read; others have others."""
    one, again, other = when(first), read_anew(json.dumps(first)), when(second)
    assert encoded(one) == encoded(again)
    assert (encoded(one) == encoded(other)) is (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"cvss": ">= 7"}, {"cvss": {"score": " >=7.0 "}}),
        ({"epss": ">= 0.10"}, {"epss": ">=0.1"}),
        ({"cve": ["CVE-2021-1111", "GO-2021-1"]}, {"cve": ["go-2021-1", "cve-2021-1111"]}),
        ({"scan_age": "> 48h"}, {"scan_age": "> 2d"}),
        ({"published": {"for": "30d"}}, {"published": {"for": ">= 30d"}}),
        ({"owner": ["b", "a"]}, {"owner": ["a", "b"]}),
        ({"scan_state": ["stale", "partial"]}, {"scan_state": ["partial", "stale"]}),
        ({"package": {"purl": "pkg:DEB/Debian/Git"}}, {"package": {"purl": "pkg:deb/debian/git"}}),
    ],
)
def test_spelling_is_no_part_of_the_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    """What means the same has the same bytes."""
    assert encoded(when(one)) == encoded(when(other))


def encoded(asked: When) -> bytes:
    """Return a `when` as the policy's digest sees it."""
    return msgspec.json.encode(asked, order="deterministic")
