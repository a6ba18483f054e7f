# SPDX-License-Identifier: Apache-2.0
"""Today's violations as dated exceptions, so that a site can enforce tomorrow what holds from now on.

As narrow as can be: one exception names one package, the vulnerabilities in it, and the images in which they are. What
no exception can cover (end of life, scan states) is named, never left out in silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import msgspec

from sifgate.model.decision import Action
from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.document import Policy
from sifgate.policy.judgement import Judgement, judge
from sifgate.policy.pathglob import MAX_PATTERN, plain_path
from sifgate.whatif.launches import record_of, split
from sifgate.whatif.likeness import Likeness
from sifgate.whatif.recorded import Verdicts, launch_of
from sifgate.whatif.simulate import NO_VERDICT, NOT_UNDERSTOOD, Standings, kinds, standing_part

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{2,63}", re.ASCII)
"""What an exception can name a vulnerability by."""
MAX_NAME = 128


class Where(NamedTuple):
    """What an exception binds to."""

    digest: str
    path: str


ANYWHERE = Where("*", "*")
"""Any image."""


class Violation(NamedTuple):
    """One package of one image of which a vulnerability breaks a rule."""

    package: str
    manager: str
    vulnerability: str


class Baseline(msgspec.Struct):
    """What was found."""

    violations: dict[Violation, set[Where]] = {}
    beyond: Counter[str] = msgspec.field(default_factory=Counter)
    """Launches that are refused by what no exception can cover, by rule, state or cause."""
    launches: int = 0
    """Launches that were judged."""
    refused: int = 0
    unjudged: Counter[str] = msgspec.field(default_factory=Counter)


def violations_of(
    policy: Policy,
    rows: Iterable[bytes],
    verdicts: Verdicts,
    now: datetime,
    *,
    anywhere: bool,
    progress: Callable[[int], None],
) -> Baseline:
    """Return what breaks the policy at `now`, before the ceilings of mode and point, over rows ordered by verdict.

    `anywhere`: images that no exception can name (no absolute path, no digest) do not matter.
    """
    found = Baseline()
    likeness = Likeness(policy)
    for _, group in groupby(map(split, rows), key=standing_part):
        standings = Standings(verdicts)
        alike: dict[tuple[object, Where], _Alike] = {}
        for row, count in kinds(group, by_time=False):
            progress(count)
            try:
                record = record_of(row)
                launch, standing = launch_of(record), standings.of(record)
            except ValueError:
                found.unjudged[NOT_UNDERSTOOD] += count
                continue
            if standing is None:
                found.unjudged[NO_VERDICT] += count
                continue
            key = (likeness.key(launch), _where(launch))
            alike.setdefault(key, _Alike(launch, standing)).count += count
        _judge(found, policy, alike, now, anywhere=anywhere)
    return found


class _Alike(msgspec.Struct):
    """Launches of one image that the policy cannot tell apart."""

    launch: LaunchEvent
    standing: Standing
    count: int = 0


def _judge(
    found: Baseline,
    policy: Policy,
    alike: dict[tuple[object, Where], _Alike],
    now: datetime,
    *,
    anywhere: bool,
) -> None:
    """Judge the launches of one group: once for each class of them, whatever the images' paths."""
    judged: dict[object, Judgement] = {}
    for (key, where), each in alike.items():
        if key not in judged:
            judged[key] = judge(policy, each.standing, each.launch, now)
        found.launches += each.count
        if judged[key].decision.would_be is Action.BLOCK:
            found.refused += each.count
            _note(found, judged[key], where if not anywhere else ANYWHERE, each.count)


def _note(found: Baseline, judgement: Judgement, where: Where, count: int) -> None:
    """Note what refuses a launch: findings to be excepted, and what is beyond exceptions."""
    outcomes = {each.rule.id: each for each in judgement.outcomes}
    for reason in judgement.decision.reasons:
        if reason.action is not Action.BLOCK:
            continue
        groups = outcomes[reason.rule].match.groups if reason.rule in outcomes else ()
        named = (where is ANYWHERE or where.digest or where.path) and groups
        findings = [finding for group in groups for finding in group.findings] if named else []
        if not findings or not all(map(_nameable, findings)):
            found.beyond[reason.rule] += count
        for finding in filter(_nameable, findings):
            violation = Violation(finding.package, finding.manager, finding.vulnerability)
            found.violations.setdefault(violation, set()).add(where)


def _where(launch: LaunchEvent) -> Where:
    """Return by what an exception can name the image of a launch; empty where it cannot."""
    path = plain_path(launch.reference.path)
    plain = len(literal(path)) <= MAX_PATTERN and path.isprintable()
    return Where(launch.image.digest, path if plain else "")


def _nameable(finding: Finding) -> bool:
    """Return whether an exception can name a finding: its words are those of a package and an advisory."""
    package = literal(finding.package)
    return (
        bool(IDENTIFIER.fullmatch(finding.vulnerability))
        and len(package) <= MAX_NAME
        and package.isprintable()
    )


def literal(text: str) -> str:
    """Return text as a pattern that fits nothing else."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in text)
