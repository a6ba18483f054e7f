# SPDX-License-Identifier: Apache-2.0
"""Two thousand damaged policies: each loads, or is refused with a place; never another exception, never long.

`make fuzz` does the same with a hundred thousand (`SIFGATE_FUZZ`).
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from tests.unit.policy.builders import EVERYTHING, ROOT

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.read import policy_from

FILES = int(os.environ.get("SIFGATE_FUZZ", "2000"))
MAX_SECONDS = 3.0
"""Of processor time for one file, on a machine that does other things too."""
PLACE = re.compile(r"^fuzz\.yaml:[0-9]+:[0-9]+: \S")
VALIDATOR = Draft202012Validator(json.loads((ROOT / "src/sifgate/policy/schema.json").read_text()))

NASTY_BYTES = (
    b"\x00", b"\t", b"\r", b"\xff", b"\xed\xa0\x80", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"&a ", b"*a",
    b"!!python/object:x ",     b"{", b"}", b"[", b"]", b": ", b"- ", b"\n", b"#", b"'", b'"', b"|\n", b">-\n", b"? ",
    b"<<: ", b"---\n", b"...\n", b"~",
    b"%YAML 9.9\n", b"\\x", b"\\Uffffffff", b"[" * 200, b"{a: " * 100, b"9" * 5000, b"yes", b"0x1f", b"1e999", b".nan",
)  # fmt: skip
NASTY_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**30, 1.5, float("inf"), "", " ", "x" * 3000, "\x1b[31m", "\u202e", "2026-02-30", "10s",
    ">= high", "= unknown", "block", "allow", "enforce", "known", "999999d", "99d", [], {}, [[]], [{}], [None], {"": 1},
    ["high", "high"], {"eol": True, "for": "1d", "within": "1d"}, {"over": 10**9}, {"over": True}, {"kev": "yes"},
    [{"id": "a", "when": {"kev": True}, "action": "block"}] * 2, "sifgate.policy/v1", "policy\nschema: x", {"id": 1},
)  # fmt: skip


class Plain(yaml.SafeDumper):
    """Writes a value that stands twice twice, since aliases are refused before anything else is looked at."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that there are none."""
        del data
        return True


@cache
def samples() -> tuple[str, ...]:
    """Return policies to damage: one with every key, the presets, and those of the policy cases."""
    cases = (
        yaml.safe_load(path.read_text()) for path in sorted((ROOT / "tests/policy_cases").glob("*.yaml"))
    )
    texts = (table["text"] for table in cases if "text" in table)
    presets = (path.read_text() for path in sorted((ROOT / "src/sifgate/policy/presets").glob("*.yaml")))
    return (EVERYTHING, *presets, *texts)


def damaged_bytes(source: random.Random) -> bytes:
    """Return a sample with a few bytes cut, doubled, replaced or put in."""
    content = bytearray(source.choice(samples()).encode())
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(content) + 1)
        end = min(len(content), at + source.choice((0, 1, 1, 2, 10, 200)))
        new = source.choice(
            (b"", source.choice(NASTY_BYTES), bytes([source.randrange(256)]), bytes(content[at:end]) * 2)
        )
        content[at:end] = new
    return bytes(content)


def damaged_nodes(source: random.Random) -> bytes:
    """Return a sample with a few values replaced, removed, moved or renamed, as valid YAML."""
    document = yaml.safe_load(source.choice(samples()))
    for _ in range(source.randint(1, 3)):
        parent = source.choice(_parents(document))
        _damage(source, parent)
    return yaml.dump(document, Dumper=Plain, allow_unicode=source.random() < 0.5, sort_keys=False).encode(
        "utf-8", "surrogatepass"
    )  # half of the time


@pytest.mark.parametrize("damage", [damaged_bytes, damaged_nodes])
@pytest.mark.timeout(3600)
def test_damaged_policy_loads_or_is_refused_with_a_place(damage: Callable[[random.Random], bytes]) -> None:
    """The same files every time; whatever loads validates against the schema."""
    loaded = refused = 0
    for seed in range(FILES // 2):
        content = damage(random.Random(seed))  # noqa: S311  # reproducible, not secret
        start = time.process_time()
        if _load(content) is None:
            refused += 1
        else:
            loaded += 1
        assert time.process_time() - start < MAX_SECONDS, content[:200]
    assert loaded > 0
    assert refused > loaded // 4


def _load(content: bytes) -> Policy | None:
    try:
        document = yamlfile.parse(content, "fuzz.yaml", failure=PolicyError)
        policy = policy_from([document])
    except PolicyError as error:
        assert PLACE.match(str(error)), str(error)  # noqa: PT017  # refusing is one of the two good ends
        return None
    problems = [error.message for error in VALIDATOR.iter_errors(document.plain())]
    assert not problems, (problems, content)
    return policy


def _parents(value: Any) -> list[Any]:
    """Return every mapping and list that holds something."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    below = [parent for item in inner for parent in _parents(item)]
    return [value, *below] if inner else below


def _damage(source: random.Random, parent: Any) -> None:
    key = source.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    kind = source.randrange(4)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[source.choice(["id", "when", "mode", "actoin", "known", "on", "", "<<", "x" * 500])] = (
            parent.pop(key)
        )
    elif kind == 2 and isinstance(parent, list):  # one of four kinds
        parent.append(parent[key])
    else:
        parent[key] = deepcopy(source.choice(NASTY_VALUES))  # it may be damaged in its turn
