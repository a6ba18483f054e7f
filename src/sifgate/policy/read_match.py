# SPDX-License-Identifier: Apache-2.0
"""Reads whom a scope, or which images a trusted store, is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from sifgate.model.launch import Door
from sifgate.policy.pathglob import read_path_pattern
from sifgate.policy.points import Point
from sifgate.policy.scopes import ScopeMatch
from sifgate.yamlnode import Node, quoted

MAX_NAME = 128
DOORS = tuple(door.value for door in Door)
POINTS = tuple(point.value for point in Point)
_PATTERN = re.compile(r"[*?\[\]]")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}", re.ASCII)


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


def read_fingerprint(node: Node) -> str:
    """Return an OpenPGP fingerprint in upper case; short key ids are refused, anybody can make one."""
    written = node.content if isinstance(node.content, str) and node.type_name == "number" else node.text()
    word = written.replace(" ", "").upper()
    if not _FINGERPRINT.fullmatch(word):
        raise node.error(
            f"expected the whole fingerprint of a key (40 or 64 hex digits), got {quoted(written)}"
        )
    return word


_WORDS: dict[str, Callable[[Node], str]] = {
    "door": _door,
    "point": _point,
    "path": read_path_pattern,
    "signed_by": read_fingerprint,
}
