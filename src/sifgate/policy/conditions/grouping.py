# SPDX-License-Identifier: Apache-2.0
"""Puts findings that no condition can tell apart into groups, so that each group is judged once; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from sifgate.model.finding import Finding
from sifgate.policy.conditions.column import Column, Key
from sifgate.policy.conditions.family import Group


def grouped(findings: Sequence[Finding], columns: Iterable[Column]) -> tuple[Group, ...]:
    """Return the findings in groups that are equal in every column, in the order in which they first come."""
    names, keyed = _merged(columns)
    profiles: list[list[Hashable]] = [list(map(attrgetter(name), findings)) for name in names]
    for attributes, keys in keyed.items():
        profiles.append(list(map(_Codes(keys).__getitem__, map(attrgetter(*attributes), findings))))
    if not profiles:
        return (Group(list(findings)),) if findings else ()
    groups: defaultdict[Hashable, list[Finding]] = defaultdict(list)
    for profile, finding in zip(zip(*profiles, strict=True), findings, strict=True):
        groups[profile].append(finding)
    return tuple(map(Group, groups.values()))


def _merged(columns: Iterable[Column]) -> tuple[list[str], dict[tuple[str, ...], list[Key]]]:
    """Return the attributes taken as they are, and the keys of the rest; what the former tell need not be asked."""
    every = tuple(dict.fromkeys(columns))
    names = {name for column in every if column.key is None for name in column.attributes}
    keyed: dict[tuple[str, ...], list[Key]] = {}
    for column in every:
        if column.key is not None and not names.issuperset(column.attributes):
            keyed.setdefault(column.attributes, []).append(column.key)
    return sorted(names), keyed


class _Codes(dict[Any, int]):
    """A small number for what the keys of a column make of a value, made once for each value.

    Numbers, since those are hashed once for each finding, and an enumeration's hash is slow.
    """

    def __init__(self, keys: list[Key]) -> None:
        super().__init__()
        self._keys = keys
        self._known: dict[Hashable, int] = {}

    def __missing__(self, value: Any) -> int:
        keys = self._keys
        made = keys[0](value) if len(keys) == 1 else tuple([key(value) for key in keys])
        code = self[value] = self._known.setdefault(made, len(self._known))
        return code
