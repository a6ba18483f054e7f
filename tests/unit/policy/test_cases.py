# SPDX-License-Identifier: Apache-2.0
"""The tables in tests/policy_cases: verdict, launch and moment in, decision out; read as `sifgate policy test` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.policy.builders import ROOT

from sifgate.whatif.cases import Case, Table, judged, read_tables

CASES = ROOT / "tests" / "policy_cases"


def cases() -> Iterator[Any]:
    """Yield every case of every table with a name."""
    for table in read_tables([CASES]):
        for case in table.cases:
            yield pytest.param(table, case, id=f"{table.path.rpartition('/')[2]}: {case.name}")


@pytest.mark.parametrize(("table", "case"), list(cases()))
def test_case_has_the_expected_decision(table: Table, case: Case) -> None:
    """Every case of the tables comes out as written there."""
    assert not judged(table.policy, case).differences
