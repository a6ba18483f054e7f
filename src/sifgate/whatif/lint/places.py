# SPDX-License-Identifier: Apache-2.0
"""Where in its files each named part of a policy is written."""

from __future__ import annotations

from collections.abc import Iterator

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.sources import PolicySources, Role, SourceFile
from sifgate.yamlnode import Node

LISTS = ("rules", "scopes", "trust", "exceptions")


class Places:
    """The places of rules, scopes, stores and exceptions by id, and of the policy's own keys."""

    def __init__(self, sources: PolicySources) -> None:
        """Read the files again; they have been read before, so nothing in them is an error now."""
        self._found: dict[tuple[str, str], str] = {}
        self._first = sources.files[0].path if sources.files else ""
        for file in (*sources.of(Role.POLICY), *sources.of(Role.EXCEPTION)):
            self._found.update(_named(file))

    def of(self, kind: str, name: str) -> str:
        """Return `file:line` of a part, `kind` one of `LISTS` or `key`; the main file for an unknown one."""
        return self._found.get((kind, name), self._first)


def _named(file: SourceFile) -> Iterator[tuple[tuple[str, str], str]]:
    document = yamlfile.parse(file.content, file.path, failure=PolicyError)
    for key, (line, _) in document.keys.items():
        yield ("key", key), f"{file.path}:{line}"
    for key, node in document.mapping().items():
        if key in LISTS and node.is_sequence:
            for item in node.sequence():
                yield from _item(key, item, file.path)


def _item(kind: str, item: Node, path: str) -> Iterator[tuple[tuple[str, str], str]]:
    name = item.mapping().get("id")
    if name is not None and isinstance(name.content, str):
        yield (kind, name.content), f"{path}:{name.line}"
