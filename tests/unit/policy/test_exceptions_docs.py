# SPDX-License-Identifier: Apache-2.0
"""docs/exceptions.md and docs/vex.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.exceptions.limits import LIMIT_KEYS, REQUIRABLE
from sifgate.policy.exceptions.read import KEYS, SCOPE_KEYS, read_exceptions
from sifgate.policy.read import policy_from
from sifgate.vex.words import CSAF_STATUSES, CYCLONEDX_STATES, JUSTIFICATIONS, STATUSES

DOCS = Path(__file__).resolve().parents[3] / "docs"
EXCEPTIONS, VEX = ((DOCS / f"{name}.md").read_text() for name in ("exceptions", "vex"))
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
RULES = "schema: sifgate.policy/v1\nmode: audit\nrules: [{id: a, when: {kev: true}, action: log}]\n"


@pytest.mark.parametrize("word", [*KEYS, *SCOPE_KEYS, *LIMIT_KEYS, *REQUIRABLE, *JUSTIFICATIONS])
def test_every_key_is_explained(word: str) -> None:
    """Keys of the file, of its scope, of the policy, and the words that they take."""
    assert f"`{word}`" in EXCEPTIONS or f"{word}:" in EXCEPTIONS


@pytest.mark.parametrize("word", [*STATUSES, *CSAF_STATUSES, *CYCLONEDX_STATES])
def test_every_status_is_explained(word: str) -> None:
    """What each format calls a status, and what comes of it."""
    assert f"`{word}`" in VEX


def test_the_examples_load() -> None:
    """The policy's key and the file of exceptions are valid, and the file obeys that very policy."""
    settings, file = YAML.findall(EXCEPTIONS)
    policy = policy_from([yamlfile.parse((RULES + settings).encode(), "p.yaml", failure=PolicyError)])
    assert policy.exception_settings.limits.max_days == 90
    (found,) = read_exceptions(
        [yamlfile.parse(file.encode(), "e.yaml", failure=PolicyError)], policy.exception_settings.limits
    )
    assert found.id == "SEC-1234"
    (trust,) = YAML.findall(VEX)
    policy = policy_from([yamlfile.parse((RULES + trust).encode(), "p.yaml", failure=PolicyError)])
    assert policy.vex_settings.trusted_authors == ("security@site.example", "Red Hat*")
