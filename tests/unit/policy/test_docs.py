# SPDX-License-Identifier: Apache-2.0
"""docs/policy.md against the code: its examples load, its tables hold every word and the true defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.unit.policy.builders import ROOT, policy

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.document import FAILURE_DEFAULTS, STATE_DEFAULTS, UNSCANNABLE_DEFAULTS
from sifgate.policy.read import POLICY_KEYS, policy_from

TEXT = (ROOT / "docs/policy.md").read_text()
BLOCKS = re.findall(r"^```[a-z]*\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
HEAD = "schema: sifgate.policy/v1\n"
MODE = "mode: audit\n"
RULE = "rules: [{id: kev, when: {kev: true}, action: block}]\n"


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_loads(number: int) -> None:
    """Every example is a policy, once the keys that it leaves out are added."""
    text = EXAMPLES[number]
    missing = [
        part for key, part in (("schema:", HEAD), ("mode:", MODE), ("rules:", RULE)) if not _has(text, key)
    ]
    policy_from([yamlfile.parse("".join((*missing, text)).encode(), "docs/policy.md", failure=PolicyError)])


def test_error_in_the_documentation_is_the_real_one() -> None:
    """The shape of an error is quoted as it comes."""
    quoted = next(block for block in BLOCKS if "sevrity" in block)
    with pytest.raises(PolicyError) as caught:
        policy('mode: audit\n\nrules:\n  - id: a\n    when: {sevrity: ">= high"}\n    action: log\n')
    assert str(caught.value) == quoted.rstrip("\n")


def test_tables_hold_every_word_with_its_default() -> None:
    """What applies where a policy says nothing is what the tables say."""
    rows = dict(_rows())
    defaults = {
        **{state.value: action for state, action in STATE_DEFAULTS.items()},
        **{cause.value: action for cause, action in UNSCANNABLE_DEFAULTS.items()},
        **{cause.value: action for cause, action in FAILURE_DEFAULTS.items()},
    }
    assert {word: rows.get(word) for word in defaults} == {
        word: action.word for word, action in defaults.items()
    }


def test_every_key_is_described() -> None:
    """A key that the loader knows is one that an admin can look up."""
    rows = dict(_rows())
    assert set(POLICY_KEYS) <= set(rows)


def _has(text: str, key: str) -> bool:
    return re.search(rf"^{key}", text, re.MULTILINE) is not None


def _rows() -> Iterator[tuple[str, str]]:
    """Yield the first and the last cell of every table row, without their backticks."""
    for line in TEXT.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            yield cells[0], cells[-1]
