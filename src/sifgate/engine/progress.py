# SPDX-License-Identifier: Apache-2.0
"""How long steps tell how far they are: one callable, so that a terminal, a log and a test can listen alike."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, steps done, steps in all; 0 in all = not known)."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
    del what, done, total
