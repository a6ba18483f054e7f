# SPDX-License-Identifier: Apache-2.0
"""docs/conditions.md against the code: every family has its section, every example loads."""

from __future__ import annotations

import re

import pytest
from tests.unit.policy.builders import ROOT, policy

from sifgate.policy.conditions.package import FIELDS
from sifgate.policy.conditions.vocabulary import VOCABULARY

TEXT = (ROOT / "docs/conditions.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_loads(number: int) -> None:
    """Every example is a policy, once it has a mode."""
    assert policy(f"mode: audit\n{EXAMPLES[number]}").rules


def test_every_condition_has_its_section() -> None:
    """A condition that the loader knows is one that an admin can look up, and no other is described."""
    assert set(re.findall(r"^### `([a-z_]+)`$", TEXT, re.MULTILINE)) == set(VOCABULARY)


def test_every_condition_is_shown_in_an_example() -> None:
    """Each is written at least once as it must be written."""
    examples = "\n".join(EXAMPLES)
    shown = {key for key in VOCABULARY if re.search(rf"\b{key}:", examples)}
    assert shown == set(VOCABULARY)


def test_fields_of_a_package_are_listed() -> None:
    """The table has every field of `package`."""
    assert set(FIELDS) <= set(re.findall(r"^\| `([a-z]+)` \|", TEXT, re.MULTILINE))


def test_links_lead_to_sections() -> None:
    """Every link within the page names a heading of it."""
    headings = {
        re.sub(r"[^a-z_ -]", "", line.lstrip("# ").lower()).strip().replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings
