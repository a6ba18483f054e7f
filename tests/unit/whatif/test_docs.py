# SPDX-License-Identifier: Apache-2.0
"""The page of the what-if tasks says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.policy.builders import ROOT

from sifgate.cli.policy import TASKS
from sifgate.policy.preset import preset_path
from sifgate.whatif.case_values import FINDING_KEYS, IMAGE_KEYS, LAUNCH_KEYS
from sifgate.whatif.cases import CASE_KEYS, EXPECTATIONS, TABLE_KEYS, judged, read_table

PAGE = (ROOT / "docs/whatif.md").read_text(encoding="utf-8")


def test_every_task_is_there() -> None:
    """And no other."""
    rows = re.findall(r"^\| `([a-z]+)[ `]", PAGE.partition("## Exit codes")[0], re.MULTILINE)
    assert set(rows) == {*TASKS, "validate", "install"}


def test_every_check_of_lint_is_there() -> None:
    """With its weight."""
    sources = "".join(path.read_text() for path in (ROOT / "src/sifgate/whatif/lint").glob("*.py"))
    known = set(re.findall(r'Complaint\(\s*"([a-z-]+)",\s*Weight\.([A-Z]+)', sources))
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| (error|warning|info) \|", PAGE, re.MULTILINE)
    told = {(name, weight.upper()) for names, weight in rows for name in re.findall(r"`([a-z-]+)`", names)}
    assert told == known


def test_every_key_of_a_case_is_there() -> None:
    """Of image, finding, launch and expectation."""
    section = PAGE.partition("## test\n")[2].partition("## explain")[0]
    words = set(re.findall(r"[a-z_]+", section))
    keys = {*IMAGE_KEYS, *FINDING_KEYS, *LAUNCH_KEYS, *EXPECTATIONS, *CASE_KEYS, *TABLE_KEYS}
    assert keys <= words


def test_the_example_of_a_table_holds(tmp_path: Path) -> None:
    """It can be copied."""
    text = PAGE.partition("## test\n")[2].partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "cases.yaml").write_text(text)
    (tmp_path / "policy.yaml").write_text(preset_path("balanced").read_text())
    table = read_table(tmp_path / "cases.yaml")
    assert [judged(table.policy, case).differences for case in table.cases] == [(), ()]
