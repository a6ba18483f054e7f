# SPDX-License-Identifier: Apache-2.0
"""The policy that a table of cases is about: a file, a preset, or text with exceptions and VEX beside it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.document import Policy
from sifgate.policy.load import load_policy
from sifgate.policy.read import policy_from
from sifgate.yamlnode import Node

PRESETS = ("observe", "balanced", "strict")


def preset_path(name: str) -> Path:
    """Return where a preset of `PRESETS` lies."""
    return Path(str(resources.files("sifgate.policy"))) / "presets" / f"{name}.yaml"


def policy_of_table(path: Path, table: Node, fields: dict[str, Node]) -> Policy:
    """Return the policy of a table; raises PolicyError, located, where there is not exactly one."""
    given = [key for key in ("policy", "preset", "text") if key in fields]
    if len(given) != 1:
        raise table.error(
            "a table of cases has one of policy, preset, text",
            hint="or name the policy: sifgate policy test --policy FILE",
        )
    if given[0] == "policy":
        return load_policy(_beside(path, fields["policy"]))
    if given[0] == "preset":
        return load_policy(preset_path(fields["preset"].choice(PRESETS)))
    text = fields["text"]
    if not isinstance(text.content, str) or text.type_name != "text":
        raise text.expected("the text of a policy (text: |)")
    return policy_from([yamlfile.parse(text.content.encode(), f"{path}:text", failure=PolicyError)])


def _beside(path: Path, named: Node) -> Path:
    """Return the policy file: looked for beside the table, then in each directory above it."""
    for directory in path.absolute().parents:
        found = directory / named.text()
        if found.is_file():
            return found
    raise named.error(f"no such policy file beside the table, nor in a directory above it: {named.text()}")
