# SPDX-License-Identifier: Apache-2.0
"""Whose VEX documents a site believes; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def is_trusted(author: str, patterns: Iterable[str]) -> bool:
    """Return whether an author is one of `patterns`: exact names, or with `*` for any text; no author is no one."""
    return bool(author) and _compiled(tuple(patterns)).fullmatch(author) is not None


@lru_cache(maxsize=256)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    if not patterns:
        return re.compile(r"(?!)")
    return re.compile("|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in patterns), re.DOTALL)
