# SPDX-License-Identifier: Apache-2.0
"""The table of doors in docs/operations.md: every door has its rows, every cell its test, every test exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from sifgate.doors.table import MODULES

REPOSITORY = Path(__file__).resolve().parents[3]
HEAD = (
    "| door | advisory | binding against the owner | residual race | what the user sees | what is recorded |"
)
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def tables() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the table of doors and that of their tests: cells by the first one."""
    found = []
    for part in (REPOSITORY / "docs/operations.md").read_text().split(HEAD)[1:]:
        rows = part.split("\n\n")[0].splitlines()[2:]
        cells = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]
        found.append({row[0]: row[1:] for row in cells})
    doors, tests = found
    return doors, tests


@cache
def functions(file: str) -> frozenset[str]:
    """Return the names of a file's functions."""
    tree = ast.parse((REPOSITORY / "tests" / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("door", MODULES)
def test_every_door_has_its_row(door: str) -> None:
    """What can be put in place is in the table."""
    assert any(first.startswith(f"`{door}`") for first in tables()[0])


def test_every_cell_has_a_test_that_exists() -> None:
    """Same rows, same columns; no promise without a test, no test that went away."""
    doors, tests = tables()
    assert list(doors) == list(tests)
    for first, cells in tests.items():
        assert len(cells) == len(doors[first]) == 5, first
        for cell in cells:
            named = NAMED.findall(cell)
            assert named, (first, cell)
            assert [name for file, name in named if name not in functions(file)] == [], first
