# SPDX-License-Identifier: Apache-2.0
"""What tells findings apart for one condition; `sifgate.policy.conditions.grouping` makes groups of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

Key = Callable[[Any], Hashable]


@dataclass(frozen=True, slots=True)
class Column:
    """Attributes of a finding that a condition looks at, and what it makes of their values.

    Without `key` the values themselves tell groups apart. With it only its result does, so that five thousand scores
    on two sides of a border make two groups; it gets the value of the one attribute, or a tuple of several.
    """

    attributes: tuple[str, ...]
    key: Key | None = None


FIXABLE = Column(("fixed_version",), bool)
"""The same as the attribute `fixable`, which is computed anew whenever it is asked for."""


def plain(attributes: Iterable[str]) -> tuple[Column, ...]:
    """Return a column for each attribute as it is."""
    return tuple(FIXABLE if name == "fixable" else Column((name,)) for name in sorted(attributes))
