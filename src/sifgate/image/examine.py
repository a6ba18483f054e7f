# SPDX-License-Identifier: Apache-2.0
"""One image, from descriptor to slim layer and facts; runs inside the sandbox only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sifgate.image import osrelease
from sifgate.image.bounds import Bounds
from sifgate.image.contradictions import Witness
from sifgate.image.detect import detect
from sifgate.image.slim import Selection
from sifgate.image.tarball import Sink
from sifgate.image.tree import Entry, Kind, Path, Tree
from sifgate.model.image import CoverageFacts

Progress = Callable[[int, int], None]
"""Called with entries seen so far and, where the image says so, in all."""

_MOST_NOTES = 200
_PROGRESS_STEP = 1000
_LONGEST_OS_RELEASE = 1 << 16


class Examined(msgspec.Struct, frozen=True):
    """What the worker tells its parent; the parent believes none of it before checking."""

    image_format: str
    facts: CoverageFacts
    bytes_read: int
    layer_size: int
    peak_memory: int = 0
    """Most bytes resident that the worker had."""


def examine(fd: int, bounds: Bounds, sink: Sink, progress: Progress) -> Examined:
    """Write the slim layer of the image behind `fd` and return its facts; raises `Unscannable`."""
    image_format, tree = detect(fd, bounds)
    facts, size = slim_layer(tree, bounds, sink, progress)
    return Examined(image_format=image_format, facts=facts, bytes_read=tree.bytes_read(), layer_size=size)


def slim_layer(
    tree: Tree, bounds: Bounds, sink: Sink, progress: Progress = lambda _done, _expected: None
) -> tuple[CoverageFacts, int]:
    """Write the slim layer of a tree; return its facts and the layer's size."""
    selection = Selection(tree, bounds)
    witness = Witness(tree, selection)
    seen = 0

    def watch(path: Path, entries: list[tuple[bytes, Entry]]) -> None:
        nonlocal seen
        before, seen = seen, seen + len(entries)
        if before // _PROGRESS_STEP != seen // _PROGRESS_STEP:
            progress(seen, max(seen, tree.expected))
        witness.see(path, entries)

    selection.run(watch)
    size = selection.write(sink)
    managers = {each.manager for each in selection.chosen.values() if each.manager}
    return (
        CoverageFacts(
            os_release=osrelease.os_release(_os_release(tree, selection)),
            managers=tuple(sorted(managers)),
            contradictions=_capped(witness.contradictions()),
            omitted=_capped(selection.omitted),
        ),
        size,
    )


def _os_release(tree: Tree, selection: Selection) -> dict[str, str]:
    for path in osrelease.PATHS:
        found = selection.resolver.resolve(path)
        if found is not None and found[1].kind is Kind.FILE:
            return osrelease.parse(tree.content(found[1]).read(0, _LONGEST_OS_RELEASE))
    return {}


def _capped(notes: set[str]) -> tuple[str, ...]:
    """Return the notes sorted; past the first ones only how many there are."""
    ordered = sorted(notes)
    if len(ordered) <= _MOST_NOTES:
        return tuple(ordered)
    return (*ordered[:_MOST_NOTES], f"more: {len(ordered) - _MOST_NOTES}")
