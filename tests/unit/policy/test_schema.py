# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schema against the loader: what loads validates, and what is misspelt does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.unit.policy.builders import EVERYTHING, ROOT

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.model.verdict import FailureCause, UnscannableCause
from sifgate.policy.conditions.package import MANAGERS
from sifgate.policy.conditions.vocabulary import VOCABULARY
from sifgate.policy.document import Mode
from sifgate.policy.read import POLICY_KEYS, policy_from
from sifgate.policy.read_schedule import ACTIONS
from sifgate.policy.read_scopes import SCOPE_SETTINGS
from sifgate.policy.read_stance import STATES
from sifgate.policy.scopes import FIELDS

SCHEMA = json.loads((ROOT / "src/sifgate/policy/schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
DEFINITIONS = SCHEMA["$defs"]

FULL = (ROOT / "etc/sifgate/policy.yaml", ROOT / "etc/sifgate/examples/enforcing.yaml")


def mistakes(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield copies of a document, each with one more key in one of its mappings."""
    if isinstance(value, dict):
        yield path, value | {"no-such-key": 1}
        for key, inner in value.items():
            for where, changed in mistakes(inner, (*path, key)):
                yield where, value | {key: changed}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for where, changed in mistakes(inner, (*path, index)):
                yield where, [*value[:index], changed, *value[index + 1 :]]


def plain(text: str) -> Any:
    """Return a document as JSON would hold it."""
    return yamlfile.parse(text.encode(), "policy.yaml", failure=PolicyError).plain()


def test_schema_is_a_schema() -> None:
    """The document itself is valid under its dialect."""
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.name)
def test_shipped_policies_validate(path: Path) -> None:
    """An editor that knows the schema has nothing to say about what we ship."""
    assert not list(VALIDATOR.iter_errors(plain(path.read_text())))


def test_every_key_of_the_vocabulary_validates() -> None:
    """A policy that uses everything loads and validates."""
    policy_from([yamlfile.parse(EVERYTHING.encode(), "policy.yaml", failure=PolicyError)])
    assert not list(VALIDATOR.iter_errors(plain(EVERYTHING)))


def test_unknown_keys_are_refused_everywhere() -> None:
    """One key too many, in any mapping at any depth, fails the schema as it fails the loader."""
    documents = list(mistakes(plain(EVERYTHING)))
    assert len(documents) > 20
    for where, document in documents:
        assert not VALIDATOR.is_valid(document) or where[-1:] == ("rules",), where


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        (POLICY_KEYS, SCHEMA["properties"]),
        (VOCABULARY, DEFINITIONS["when"]["properties"]),
        (ACTIONS, DEFINITIONS["action"]["enum"]),
        (STATES, DEFINITIONS["scan_states"]["properties"]),
        ([cause.value for cause in FailureCause], DEFINITIONS["failure"]["properties"]),
        (
            [cause.value for cause in UnscannableCause],
            DEFINITIONS["scan_states"]["properties"]["unscannable"]["oneOf"][1]["properties"],
        ),
        (FIELDS, DEFINITIONS["scope"]["properties"]["match"]["properties"]),
        (SCOPE_SETTINGS, DEFINITIONS["scope"]["properties"]["set"]["properties"]),
        (MANAGERS, DEFINITIONS["manager"]["enum"]),
        ([mode.value for mode in Mode], SCHEMA["properties"]["mode"]["enum"]),
    ],
    ids=range(10),
)
def test_schema_lists_the_words_of_the_code(words: Any, listed: Any) -> None:
    """No word is in one of them only."""
    assert set(words) == set(listed)
