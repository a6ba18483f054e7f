# SPDX-License-Identifier: Apache-2.0
"""Which scopes may hold for a launch, without asking each: thousands of exceptions of a baseline bind to images.

Never leaves out one that holds; pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sifgate.model.launch import LaunchEvent
from sifgate.policy.exceptions.document import ExceptionScope
from sifgate.policy.pathglob import plain_path

_WILD = re.compile(r"[*?\[]")


class Candidates:
    """Scopes by the digests and the plain paths that they name; all others are always candidates."""

    def __init__(self, scopes: Iterable[ExceptionScope]) -> None:
        self._by_digest: dict[str, list[int]] = {}
        self._by_path: dict[str, list[int]] = {}
        self._others: list[int] = []
        for number, scope in enumerate(scopes):
            if scope.image_digest:
                self._name(self._by_digest, scope.image_digest, number)
            elif scope.path and not any(map(_WILD.search, scope.path)):
                self._name(self._by_path, scope.path, number)
            else:
                self._others.append(number)

    def of(self, launch: LaunchEvent) -> list[int]:
        """Return the numbers of scopes that may hold, ascending."""
        by_digest = self._by_digest.get(launch.image.digest, ())
        by_path = self._by_path.get(plain_path(launch.reference.path), ()) if self._by_path else ()
        if not by_digest and not by_path:
            return self._others
        return sorted((*self._others, *by_digest, *by_path))

    @staticmethod
    def _name(index: dict[str, list[int]], names: tuple[str, ...], number: int) -> None:
        for name in dict.fromkeys(names):
            index.setdefault(name, []).append(number)
