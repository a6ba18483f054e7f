# SPDX-License-Identifier: Apache-2.0
"""The policy that a table of cases is about: a file, a preset, or text; exceptions and VEX of the table beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import yaml

from sifgate.policy.document import Policy
from sifgate.policy.exceptions.document import SCHEMA as EXCEPTIONS_SCHEMA
from sifgate.policy.load import policy_of, policy_sources
from sifgate.policy.preset import PRESETS, preset_path
from sifgate.policy.sources import PolicySources, Role, SourceFile
from sifgate.yamlnode import Node


def policy_of_table(path: Path, table: Node, fields: dict[str, Node]) -> Policy:
    """Return the policy of a table; raises PolicyError, located, where there is not exactly one or it is not valid."""
    given = [key for key in ("policy", "preset", "text") if key in fields]
    if len(given) != 1:
        raise table.error(
            "a table of cases has one of policy, preset, text",
            hint="or name the policy: sifgate policy test --policy FILE",
        )
    sources = _sources(path, fields, given[0])
    files = (*sources.files, *_exceptions(path, fields), *_vex(path, fields))
    return policy_of(msgspec.structs.replace(sources, files=files))


def _sources(path: Path, fields: dict[str, Node], key: str) -> PolicySources:
    node = fields[key]
    if key == "policy":
        return policy_sources(_beside(path, node))
    if key == "preset":
        return policy_sources(preset_path(node.choice(PRESETS)))
    if not isinstance(node.content, str) or node.type_name != "text":
        raise node.expected("the text of a policy (text: |)")
    return PolicySources(files=(SourceFile(f"{path}:text", Role.POLICY, node.content.encode()),))


def _exceptions(path: Path, fields: dict[str, Node]) -> tuple[SourceFile, ...]:
    """Return the table's list of exceptions as a file of them."""
    if "exceptions" not in fields:
        return ()
    entries = [node.plain() for node in fields["exceptions"].sequence()]
    content = yaml.safe_dump({"schema": EXCEPTIONS_SCHEMA, "exceptions": entries}, sort_keys=False)
    return (SourceFile(f"{path}:exceptions", Role.EXCEPTION, content.encode()),)


def _vex(path: Path, fields: dict[str, Node]) -> tuple[SourceFile, ...]:
    """Return each VEX document of the table as a file."""
    if "vex" not in fields:
        return ()
    documents = enumerate(fields["vex"].sequence())
    return tuple(
        SourceFile(f"{path}:vex[{number}]", Role.VEX, msgspec.json.encode(node.plain()))
        for number, node in documents
    )


def _beside(path: Path, named: Node) -> Path:
    """Return the policy file: looked for beside the table, then in each directory above it."""
    for directory in path.absolute().parents:
        found = directory / named.text()
        if found.is_file():
            return found
    raise named.error(f"no such policy file beside the table, nor in a directory above it: {named.text()}")
