# SPDX-License-Identifier: Apache-2.0
"""The tables in tests/policy_cases: verdict, launch and moment in, decision out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.policy.builders import NOON, ROOT, launch_of_case, standing_of_case, words

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import load_policy
from sifgate.policy.read import policy_from

CASES = ROOT / "tests" / "policy_cases"


def tables() -> Iterator[Any]:
    """Yield every case of every table with a name."""
    for path in sorted(CASES.glob("*.yaml")):
        table = yaml.safe_load(path.read_text())
        for case in table["cases"]:
            yield pytest.param(path, table, case, id=f"{path.stem}: {case['name']}")


def policy_of(path: Path, table: dict[str, Any]) -> Policy:
    """Return the policy that a table is about."""
    if "policy" in table:
        return load_policy(ROOT / table["policy"])
    return policy_from([yamlfile.parse(table["text"].encode(), str(path), failure=PolicyError)])


@pytest.mark.parametrize(("path", "table", "case"), list(tables()))
def test_case_has_the_expected_decision(path: Path, table: dict[str, Any], case: dict[str, Any]) -> None:
    """Every case of the tables comes out as written there."""
    moment = datetime.fromisoformat(case["at"]) if "at" in case else NOON
    decision = evaluate(
        policy_of(path, table),
        standing_of_case(case["image"]),
        launch_of_case(case.get("launch", {})),
        moment,
    )
    actual: dict[str, object] = {
        "action": decision.action.word,
        "would_be": decision.would_be.word,
        "rules": words(decision.reasons),
        "valid_until": decision.valid_until,
        "suppressed": decision.suppressed,
        "scope": decision.scope,
        "undecided": list(decision.undecided),
    }
    assert {key: actual[key] for key in case["expect"]} == case["expect"]
