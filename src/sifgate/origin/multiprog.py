# SPDX-License-Identifier: Apache-2.0
"""The text of `srun --multi-prog` → the commands of its tasks.

Each line is `RANKS PROGRAM ARGUMENT…` with `#` comments, quotes and a backslash that joins lines; `%t`
becomes the task's rank and `%o` its place within the line's ranks (srun(1), MULTIPLE PROGRAM
CONFIGURATION).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sifgate.origin.reference import Unexpanded

MAX_TASKS = 64
"""Ranks of one line whose words are written out; beyond, `%t` stays and the image is unknown."""
MAX_WRITTEN = 256 * 1024
"""Characters that the ranks of one line may be written out to."""

_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*"|['"\\])+""", re.DOTALL)
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+|['"\\])""", re.DOTALL)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every command in the file, once for each task where `%t` or `%o` occur in them."""
    for line in text.replace("\\\n", " ").split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        ranks, *words = _split(line)
        if not any("%t" in word or "%o" in word for word in words):
            yield words
            continue
        tasks = _ranks(ranks)
        if tasks is None or len(tasks) * len(line) > MAX_WRITTEN:
            yield [Unexpanded(word) if "%t" in word or "%o" in word else word for word in words]
            continue
        for offset, rank in enumerate(tasks):
            yield [word.replace("%t", str(rank)).replace("%o", str(offset)) for word in words]


def _split(line: str) -> list[str]:
    """Return the words of a line, quotes and escapes taken away."""
    return [_PIECE.sub(lambda m: m.group(m.lastindex or 0), word) for word in _WORD.findall(line)]


def _ranks(text: str) -> list[int] | None:
    """Return the ranks of `0-3,7`; None for `*`, for too many, and for what is none."""
    ranks: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = first.removeprefix("[").removesuffix("]"), last.removesuffix("]") if dash else first
        if not (low.isdecimal() and high.isdecimal() and len(low) < 8 and len(high) < 8):  # noqa: PLR2004 - digits of a rank
            return None
        if int(high) - int(low) + len(ranks) >= MAX_TASKS:
            return None
        ranks.extend(range(int(low), int(high) + 1))
    return ranks
