# SPDX-License-Identifier: Apache-2.0
"""Policy cases: tables of image, launch, moment and the decision that must come out; for sites and for sifgate itself.

::

    for table in read_tables([Path("cases")]):
        for case in table.cases:
            judged(table.policy, case).differences    # () : as expected
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import yaml

from sifgate import yamlfile
from sifgate.errors import ConfigError, PolicyError
from sifgate.model.decision import Decision
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.whatif.case_policy import policy_of_table
from sifgate.whatif.case_values import launch_of_case, moment, standing_of_case
from sifgate.yamlnode import Node

NOON = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)
"""The moment of a case that names none."""
TABLE_KEYS = ("policy", "preset", "text", "exceptions", "vex", "cases")
CASE_KEYS = ("name", "at", "image", "launch", "expect")
EXPECTATIONS = (
    "action", "would_be", "rules", "valid_until", "suppressed", "scope", "undecided", "trust", "grant", "alarms",
    "aside", "total", "clearable", "mode",
)  # fmt: skip


class Case(msgspec.Struct, frozen=True):
    """One line of a table."""

    name: str
    place: str
    """`file:line`."""
    standing: Standing
    launch: LaunchEvent
    now: datetime
    expected: dict[str, object]
    """By the keys of `EXPECTATIONS`; those that the case names."""


class Table(msgspec.Struct, frozen=True):
    """One file of cases and the policy that they are about."""

    path: str
    policy: Policy
    cases: tuple[Case, ...]


class Outcome(msgspec.Struct, frozen=True):
    """What came of one case."""

    case: Case
    decision: Decision
    differences: tuple[str, ...]
    """Sentences; none: as expected."""


def read_tables(paths: Sequence[Path], policy: Policy | None = None) -> Iterator[Table]:
    """Yield the tables in files and directories (`*.yaml`, in name order), judged by `policy` in place of their own.

    Raises PolicyError, located, for a table or policy that cannot be read; ConfigError where there is no table.
    """
    found = 0
    for path in paths:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        if not path.exists():
            raise ConfigError(f"{path}: no such file or directory")
        for file in files:
            found += 1
            yield read_table(file, policy)
    if not found:
        raise ConfigError(
            f"{', '.join(map(str, paths))}: no cases (files *.yaml)",
            hint="docs/whatif.md shows how one is written",
        )


def read_table(path: Path, policy: Policy | None = None) -> Table:
    """Return the table in a file; raises PolicyError, located."""
    document = yamlfile.load(path, failure=PolicyError, aliases=True)
    fields = document.mapping(keys=TABLE_KEYS, required=("cases",))
    judged = policy or policy_of_table(path, document, fields)
    cases = tuple(map(_case, fields["cases"].sequence(minimum=1)))
    names: set[str] = set()
    for case, node in zip(cases, fields["cases"].sequence(), strict=True):
        if case.name in names:
            raise node.error(f'two cases are called "{case.name}"')
        names.add(case.name)
    return Table(str(path), judged, cases)


def judged(policy: Policy, case: Case) -> Outcome:
    """Return what comes of a case."""
    decision = evaluate(policy, case.standing, case.launch, case.now)
    return Outcome(case, decision, tuple(_differences(case.expected, actual(decision))))


def actual(decision: Decision) -> dict[str, object]:
    """Return what a case can expect of a decision, by key, in the words of cases."""
    return {
        "action": decision.action.word,
        "would_be": decision.would_be.word,
        "rules": [reason.rule for reason in decision.reasons],
        "valid_until": decision.valid_until,
        "suppressed": decision.suppressed,
        "scope": decision.scope,
        "undecided": list(decision.undecided),
        "trust": decision.trust,
        "grant": decision.grant,
        "alarms": list(decision.alarms),
        "aside": [f"{aside.kind}:{aside.id}" for aside in decision.aside],
        "total": decision.total,
        "clearable": decision.clearable,
        "mode": decision.mode,
    }


def _case(node: Node) -> Case:
    fields = node.mapping(keys=CASE_KEYS, required=("name", "image", "expect"))
    expected = fields["expect"].mapping(keys=EXPECTATIONS)
    if not expected:
        raise fields["expect"].error("the case expects nothing: it cannot fail")
    return Case(
        name=fields["name"].text(),
        place=f"{node.document.name}:{node.line}",
        standing=standing_of_case(fields["image"]),
        launch=launch_of_case(fields.get("launch"), fields["image"]),
        now=moment(fields["at"]) if "at" in fields else NOON,
        expected={key: value.plain() for key, value in expected.items()},
    )


def _differences(expected: dict[str, object], found: dict[str, object]) -> Iterator[str]:
    for key, value in expected.items():
        if found[key] != value:
            yield f"{key}: expected {_shown(value)}, got {_shown(found[key])}"


def _shown(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()
