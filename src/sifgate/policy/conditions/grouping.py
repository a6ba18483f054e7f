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
        profiles.append(_codes(list(map(attrgetter(*attributes), findings)), keys))
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


def _codes(values: list[Any], keys: list[Key]) -> list[Hashable]:
    """Return a small number for what the keys of a column make of each value, made once for each different value.

    Numbers, since those are hashed once for each finding, and an enumeration's hash is slow.
    """
    known: dict[Hashable, int] = {}
    codes: dict[Any, int] = {}
    if len(keys) == 1:
        key = keys[0]
        for value in set(values):
            codes[value] = known.setdefault(key(value), len(known))
    else:
        for value in set(values):
            codes[value] = known.setdefault(tuple([key(value) for key in keys]), len(known))
    return list(map(codes.__getitem__, values))
