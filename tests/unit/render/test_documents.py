# SPDX-License-Identifier: Apache-2.0
"""Documents for programs: schema, order, what nothing known looks like, no byte that moves a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.render.reports import DECISION, STANDING, SUPPRESSED, VERDICT

from sifgate.model.verdict import FailureCause, ScanState, Standing, UnscannableCause
from sifgate.render.documents import dump, line, scan_document
from sifgate.render.escape import printable

SCHEMAS = Path(__file__).parents[3] / "src/sifgate/render/schemas"
SCAN = json.loads((SCHEMAS / "scan.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.name)
def test_the_schemas_are_schemas(path: Path) -> None:
    """What we publish is valid JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


def test_a_scan_keeps_its_schema() -> None:
    """Every field that the issue promises is there, findings worst first, suppressed apart."""
    document = scan_document("x.sif", STANDING, SUPPRESSED, DECISION)
    jsonschema.validate(json.loads(dump(document)), SCAN)
    names = [finding["vulnerability"] for finding in document["findings"]]
    assert names == ["CVE-2025-3", "CVE-2025-48384", "CVE-2025-2", "CVE-2024-1"]
    assert [finding["vulnerability"] for finding in document["suppressed"]] == ["CVE-2025-4"]
    assert document["summary"] == {
        "findings": 4,
        "vulnerabilities": 4,
        "by_severity": {"Critical": 1, "High": 2, "Medium": 0, "Low": 1, "Negligible": 0, "Unknown": 0},
        "fixable": 3,
        "kev": 1,
        "suppressed": 1,
    }


@pytest.mark.parametrize(
    "standing",
    [
        *(Standing(state=state) for state in ScanState),
        *(Standing(cause=cause) for cause in FailureCause),
        *(Standing(state=ScanState.UNSCANNABLE, unscannable=cause) for cause in UnscannableCause),
        Standing(state=ScanState.KNOWN, verdict=msgspec.structs.replace(VERDICT, findings=())),
    ],
)
def test_every_standing_has_a_document(standing: Standing) -> None:
    """Without a verdict the counts are null, never 0."""
    document = json.loads(line(scan_document("x.sif", standing, (), DECISION)))
    jsonschema.validate(document, SCAN)
    assert (document["summary"] is None) == (standing.verdict is None)
    assert (document["coverage"] is None) == (standing.verdict is None)


@given(st.text())
def test_no_text_moves_a_terminal(text: str) -> None:
    """Whatever an image holds, what is printed is printable."""
    assert all(character.isprintable() for character in printable(text))
    assert all(character.isprintable() or character == "\n" for character in printable(text, newlines=True))
    assert all(" " <= character <= "~" for character in line({"x": text}))


def test_escapes_say_what_was_there() -> None:
    """Bytes, controls and reordering marks are shown; letters of any script stay."""
    assert printable("a\x1b\udcff\u202e\U000e0001é漢") == "a\\x1b\\xff\\u202e\\U000e0001é漢"
