# SPDX-License-Identifier: Apache-2.0
"""Package data that contradict the image."""

from __future__ import annotations

from sifgate.image.slim import Selection
from sifgate.image.tree import Entry, Path, Tree


class Witness:
    """Remembers while the tree is walked what package data can be held against."""

    def __init__(self, tree: Tree, selection: Selection) -> None:
        self._tree = tree
        self._selection = selection

    def see(self, path: Path, entries: list[tuple[bytes, Entry]]) -> None:
        """Remember what one directory tells."""

    def contradictions(self) -> set[str]:
        """Return what contradicts the image, each `code: detail`."""
        return set()
