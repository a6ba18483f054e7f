# SPDX-License-Identifier: Apache-2.0
"""Reads whom a scope, or which images a trusted store, is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from sifgate.model.launch import Door
from sifgate.policy.conditions.signed_by import read_key
from sifgate.policy.pathglob import read_path_pattern
from sifgate.policy.points import Point
from sifgate.policy.scopes import ScopeMatch
from sifgate.yamlnode import Node, quoted

MAX_NAME = 128
DOORS = tuple(door.value for door in Door)
POINTS = tuple(point.value for point in Point)
_PATTERN = re.compile(r"[*?\[\]]")


def read_match(node: Node, keys: Iterable[str]) -> ScopeMatch:
    """Return what must fit; only `keys` may be asked for."""
    fields = node.mapping(keys=keys)
    if not fields:
        raise node.error("the scope is empty: it would match every launch")
    return ScopeMatch(**{key: value.one_or_more(_WORDS.get(key, _name)) for key, value in fields.items()})


def _name(node: Node) -> str:
    name = node.text(maximum=MAX_NAME)
    if _PATTERN.search(name):
        raise node.error(f"names are exact, patterns are not supported: {quoted(name)}")
    return name


def _door(node: Node) -> str:
    return node.choice(DOORS)


def _point(node: Node) -> str:
    return node.choice(POINTS)


_WORDS: dict[str, Callable[[Node], str]] = {
    "door": _door,
    "point": _point,
    "path": read_path_pattern,
    "signed_by": read_key,
}
