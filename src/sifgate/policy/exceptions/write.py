# SPDX-License-Identifier: Apache-2.0
"""Exceptions as the text of a file: new ones, and one that ends earlier than it was meant to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

import yaml

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.policy.exceptions.document import SCHEMA
from sifgate.policy.exceptions.read import KEYS
from sifgate.yamlnode import Node

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NO_FOLDING = 1 << 16


class _Plain(yaml.SafeDumper):
    """Writes a value that stands in several entries out each time: anchors are not read."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that nothing is referred to."""
        del data
        return True


def rendered(entries: Iterable[Mapping[str, object]]) -> bytes:
    """Return a file with these entries, whose keys are those of the file form, put in its order; dates are dates.

    What is wrong with an entry the reader says; whoever writes a file has it read first.
    """
    ordered = [
        {key: entry[key] for key in (*KEYS, *(entry.keys() - KEYS)) if key in entry} for entry in entries
    ]
    document = {"schema": SCHEMA, "exceptions": ordered}
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=_NO_FOLDING)
    return text.encode()


def identities(content: bytes, name: str) -> tuple[str, ...]:
    """Return the ids of the exceptions in a file; raises PolicyError where it is none."""
    document = yamlfile.parse(content, name, failure=PolicyError)
    entries = document.mapping(required=("exceptions",))["exceptions"].sequence()
    return tuple(entry.mapping(required=("id",))["id"].text() for entry in entries)


def ended(content: bytes, name: str, identity: str, day: date) -> bytes:
    """Return the file with one exception's `expires` changed to `day`, everything else byte for byte as it was.

    Raises PolicyError where the file has no such exception, or it ends by then anyway.
    """
    document = yamlfile.parse(content, name, failure=PolicyError)
    for entry in document.mapping()["exceptions"].sequence():
        fields = entry.mapping()
        if fields["id"].text() == identity:
            return _replaced(content, fields["expires"], day)
    raise PolicyError(f"{name}: no exception {identity}")


def _replaced(content: bytes, node: Node, day: date) -> bytes:
    if node.date() <= day:
        raise node.error(f"it ends on {node.date()} anyway")
    lines = content.decode("utf-8-sig").splitlines(keepends=True)
    before, after = lines[node.line - 1][: node.column - 1], lines[node.line - 1][node.column - 1 :]
    lines[node.line - 1] = before + _DATE.sub(day.isoformat(), after, count=1)
    return "".join(lines).encode()
