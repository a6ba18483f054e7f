# SPDX-License-Identifier: Apache-2.0
"""Patterns of paths: `*` and `?` stay within one directory, `**` crosses any number of them.

`/a/**` is everything below `/a`, not `/a` itself; `/a/**/b` is `/a/b` too.

Matching takes time in proportion to the pattern times the path, whatever the path: users choose paths.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

from sifgate.yamlnode import Node, quoted

MAX_PATTERN = 512
ACROSS = "**"
_WILD = re.compile(r"[*?\[]")


def read_path_pattern(node: Node) -> str:
    """Return a pattern: absolute, with `**` only as a whole component."""
    text = node.text(maximum=MAX_PATTERN)
    parts = text.split("/")
    if parts[0] or len(parts) < 2 or not all(parts[1:]):  # noqa: PLR2004  # the root, and one component
        raise node.error(f"expected an absolute path without empty components, got {quoted(text)}")
    for part in parts[1:]:
        if part in {".", ".."}:
            raise node.error(f'a pattern holds no "{part}": the paths that it is compared with are plain')
        if ACROSS in part and part != ACROSS:
            raise node.error('"**" stands for whole directories: put it between slashes')
    return text


def plain_path(path: str) -> str:
    """Return a path without the `//`, `./` and final `/` that change nothing; empty if it is not clear.

    That is a path which is not absolute, or has `..` in it: what that leads to depends on links.
    """
    parts = _parts(path)
    return f"/{'/'.join(parts)}" if parts else ""


def fits(pattern: str, path: str) -> bool:
    """Return whether a path fits, as `plain_path` writes it; one of which that is empty fits nothing."""
    parts = _parts(path)
    return bool(parts) and _match(_components(pattern), parts)


def fits_any(patterns: tuple[str, ...], path: str) -> bool:
    """Return whether a path fits one of the patterns; those without `*`, `?` and `[` cost next to nothing."""
    exact, globs = _divided(patterns)
    if exact and plain_path(path) in exact:
        return True
    return any(fits(pattern, path) for pattern in globs)


@lru_cache(maxsize=16_384)
def _divided(patterns: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the patterns that fit themselves alone, and the others."""
    globs = tuple(pattern for pattern in patterns if _WILD.search(pattern))
    return frozenset(patterns).difference(globs), globs


def _parts(path: str) -> list[str]:
    """Return the components of an absolute path; none where one of them is `..`."""
    if not path.startswith("/"):
        return []
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return [] if ".." in parts else parts


def _match(pattern: tuple[re.Pattern[str] | None, ...], parts: list[str]) -> bool:
    """Return whether components fit; on a mismatch only the last `**` can still take one component more."""
    at = position = 0
    across = resume = -1
    while position < len(parts):
        wanted = pattern[at] if at < len(pattern) else None
        if at < len(pattern) and wanted is None:
            across, resume = at, position
            at += 1
        elif wanted is not None and wanted.fullmatch(parts[position]):
            at += 1
            position += 1
        elif across >= 0:
            resume += 1
            at, position = across + 1, resume
        else:
            return False
    return at == len(pattern)


@lru_cache(maxsize=1024)
def _components(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """Return a compiled pattern for each component, None for `**`."""
    return tuple(None if part == ACROSS else re.compile(translate(part)) for part in pattern.split("/")[1:])
