# SPDX-License-Identifier: Apache-2.0
"""Gate, command line, report, simulation and replay come to the same answer on every policy case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agreement import surfaces

from sifgate.policy.document import Policy
from sifgate.whatif.cases import Case, judged, read_tables

CASES = Path(__file__).parents[1] / "policy_cases"
LEAST = 150


def vectors() -> Iterator[Any]:
    """Yield each case with its policy."""
    for table in read_tables([CASES]):
        for case in table.cases:
            name = f"{Path(table.path).name}: {case.name}"
            yield pytest.param(table.policy, case, name, id=name)


VECTORS = list(vectors())


@pytest.mark.parametrize(("policy", "case", "name"), VECTORS)
def test_all_places_agree(
    policy: Policy, case: Case, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is driven by its own code, from the record on without the launch itself; each says what is written."""
    expected = judged(policy, case)
    assert expected.differences == ()
    assert name not in surfaces.of_command_line(CASES)

    standing = surfaces.addressed(case.standing)
    found = surfaces.gate(policy, case, tmp_path, monkeypatch)
    assert found.decision == expected.decision

    record = surfaces.record_of(found, case.now.timestamp())
    told = surfaces.report(found, record, standing)
    assert (told["action"], told["would_be"]) == (record.action, record.would_be)
    assert [reason["rule"] for reason in told["reasons"]] == [
        reason.rule for reason in expected.decision.reasons
    ]
    assert told["suppressed"] == expected.decision.suppressed

    counted = surfaces.simulated(policy, record, standing)
    assert list(counted.by_action) == [expected.decision.action]
    assert list(counted.by_would_be) == [expected.decision.would_be]
    assert set(counted.rules) == {reason.rule for reason in expected.decision.reasons}
    assert (counted.judged.launches, counted.changes, counted.unjudged) == (1, {}, {})

    again = surfaces.replayed(policy, record, standing)
    known = bool(record.state or record.cause)
    assert (again.same, again.different, again.lacking) == (int(known), 0, {})


def test_there_are_enough_of_them() -> None:
    """A table that was lost would not be missed otherwise."""
    assert len(VECTORS) >= LEAST
