# SPDX-License-Identifier: Apache-2.0
"""Since when this site knows things: dates that are kept beside verdicts and go into them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

LONGEST_NAME = 200
"""Characters of a name that has a clock; a longer one is nobody's advisory."""


class FixPlace(NamedTuple):
    """Where a fix was seen: a fix for one release of a distribution is none for another."""

    vulnerability: str
    package: str
    """Source package where there is one."""
    system: str
    """`debian 11` for a distribution's packages, else the package manager."""


class Clocks(msgspec.Struct, frozen=True):
    """ISO dates at which this site first saw something; what is missing is not known."""

    image: Mapping[str, str] = {}
    """In this fingerprint, by vulnerability or alias."""
    site: Mapping[str, str] = {}
    """In any image, by vulnerability or alias."""
    fixes: Mapping[tuple[str, str, str], str] = {}
    """Of a fix, by `FixPlace`."""


class Sightings(msgspec.Struct, frozen=True):
    """What one scan saw, to be kept."""

    names: frozenset[str] = frozenset()
    """Every vulnerability and alias."""
    fixes: frozenset[FixPlace] = frozenset()
    """Every fix that is known."""
