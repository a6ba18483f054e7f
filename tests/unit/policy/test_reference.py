# SPDX-License-Identifier: Apache-2.0
"""The evaluator against a second one, written as plainly as the documentation reads: no groups, no caching."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests.unit.policy.builders import NOON, finding, launch, policy, standing

from sifgate.model.decision import Action
from sifgate.model.finding import Finding, Severity
from sifgate.model.verdict import EndOfLife, Verdict
from sifgate.policy.evaluate import evaluate

ROUNDS = 400
LEVELS = ["negligible", "low", "medium", "high", "critical"]
CONDITIONS: tuple[dict[str, Any], ...] = (
    {"severity": ">= high"},
    {"severity": "< medium"},
    {"severity": ["unknown", "low"]},
    {"fixable": True},
    {"fixable": False},
    {"kev": True},
    {"kev": False},
    {"package": "lib*"},
    {"package": ["git", "openssl"]},
    {"count": {"over": 3}},
    {"count": {"severity": ">= medium", "fixable": True, "over": 2}},
    {"distro": {"eol": True}},
    {"distro": {"eol": False}},
    {"distro": {"eol": True, "for": "10d"}},
    {"distro": {"eol": True, "within": "10d"}},
)


def holds(condition: tuple[str, Any], found: Finding | None, verdict: Verdict) -> bool | None:
    """Return whether one condition holds; None where nobody can know."""
    key, wanted = condition
    match key:
        case "severity":
            assert found is not None
            return _severity(wanted, found.severity.name.lower())
        case "fixable":
            assert found is not None
            return (found.fixed_version != "") is bool(wanted)
        case "kev":
            assert found is not None
            return found.kev is bool(wanted)
        case "package":
            assert found is not None
            patterns = [wanted] if isinstance(wanted, str) else wanted
            return any(
                fnmatchcase(name, p) for p in patterns for name in (found.package, found.source) if name
            )
        case "count":
            return _count(wanted, verdict)
        case _:
            return _ended(wanted, verdict)


def spoken(rule: Mapping[str, Any], verdict: Verdict) -> bool:
    """Return whether a rule speaks of a verdict whose kernel headers are gone."""
    image = [item for item in rule["when"].items() if item[0] in {"count", "distro"}]
    single = [item for item in rule["when"].items() if item[0] not in {"count", "distro"}]
    lenient = rule["on_unknown"] == "match"
    of_image = _all([holds(item, None, verdict) for item in image])
    if not single:
        return of_image is True or (of_image is None and lenient)
    answers = [
        _all([of_image, *(holds(item, found, verdict) for item in single)]) for found in verdict.findings
    ]
    return any(answer is True or (answer is None and lenient) for answer in answers)


@pytest.mark.parametrize("part", range(4))
def test_evaluator_agrees_with_the_plain_reading(part: int) -> None:
    """Random rules, images and dates lead to the same rules and the same action in both."""
    for seed in range(part * ROUNDS, (part + 1) * ROUNDS):
        source = random.Random(seed)  # noqa: S311  # reproducible, not secret
        rules = [_rule(source, number) for number in range(source.randint(1, 5))]
        site = policy(f"mode: enforce\nrules: {json.dumps(rules)}\n")
        known = standing(*_findings(source), end_of_life=_support(source))
        assert known.verdict is not None
        decision = evaluate(site, known, launch(), NOON)
        expected = [rule for rule in rules if spoken(rule, known.verdict)]
        assert sorted(r.rule for r in decision.reasons) == sorted(rule["id"] for rule in expected), seed
        worst = max((Action.parse(rule["action"]) for rule in expected), default=Action.ALLOW)
        assert decision.action is worst, seed


def _all(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _severity(wanted: str | list[str], level: str) -> bool | None:
    if level == "unknown":
        return True if "unknown" in wanted else None
    if isinstance(wanted, list):
        return level in wanted
    sign, border = wanted.split()
    return (
        LEVELS.index(level) >= LEVELS.index(border)
        if sign == ">="
        else LEVELS.index(level) < LEVELS.index(border)
    )


def _count(wanted: Mapping[str, Any], verdict: Verdict) -> bool | None:
    inner = [item for item in wanted.items() if item[0] != "over"]
    sure, possible = set(), set()
    for found in verdict.findings:
        answer = _all([holds(item, found, verdict) for item in inner])
        if answer is not False:
            possible.add(found.vulnerability)
        if answer is True:
            sure.add(found.vulnerability)
    if len(sure) > wanted["over"]:
        return True
    return None if len(possible) > wanted["over"] else False


def _ended(wanted: Mapping[str, Any], verdict: Verdict) -> bool | None:
    days = [text for text in (verdict.end_of_life.eol, verdict.end_of_life.lts) if text]
    if not days:
        return None
    moment = datetime.combine(date.fromisoformat(max(days)), time(), timezone.utc) + timedelta(days=1)
    if "for" in wanted:
        moment += timedelta(days=10)
    if "within" in wanted:
        moment -= timedelta(days=10)
    ended = moment <= NOON
    return ended is bool(wanted["eol"])


def _rule(source: random.Random, number: int) -> dict[str, Any]:
    when: dict[str, Any] = {}
    for condition in source.sample(CONDITIONS, source.randint(1, 3)):
        when |= condition
    action, unknown = source.choice(["allow", "log", "warn", "block"]), source.choice(["skip", "match"])
    return {"id": f"r{number}", "when": when, "action": action, "on_unknown": unknown}


def _findings(source: random.Random) -> list[Finding]:
    return [
        finding(
            vulnerability=f"CVE-{source.randint(1, 6)}",
            package=source.choice(["git", "libx", "openssl", "zlib"]),
            source=source.choice(["", "git", "libsrc"]),
            severity=source.choice(list(Severity)),
            fixed_version=source.choice(["", "2"]),
            kev=source.random() < 0.3,  # three in ten
        )
        for _ in range(source.randint(0, 8))
    ]


def _support(source: random.Random) -> EndOfLife:
    offsets = [source.randint(-20, 20) if source.random() < 0.8 else None for _ in range(2)]  # mostly
    eol, lts = ("" if days is None else (NOON.date() + timedelta(days=days)).isoformat() for days in offsets)
    return EndOfLife(eol=eol, lts=lts)
