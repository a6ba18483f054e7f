# SPDX-License-Identifier: Apache-2.0
"""One image, from descriptor to slim layer and facts; runs inside the sandbox only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sifgate.image import osrelease
from sifgate.image.bounds import Bounds
from sifgate.image.contradictions import Evidence, contradictions
from sifgate.image.detect import detect
from sifgate.image.slim import Selection
from sifgate.image.tarball import Sink
from sifgate.image.tree import Tree
from sifgate.model.image import CoverageFacts

Progress = Callable[[int, int], None]
"""Called with entries seen so far and, where the image says so, in all."""

_MOST_NOTES = 200
_PROGRESS_STEP = 1000


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
    seen = 0

    def watch(entries: int) -> None:
        nonlocal seen
        before, seen = seen, seen + entries
        if before // _PROGRESS_STEP != seen // _PROGRESS_STEP:
            progress(seen, max(seen, tree.expected))

    selection.run(watch)
    size = selection.write(sink)
    evidence = Evidence(tree, selection)
    return (
        CoverageFacts(
            os_release=osrelease.os_release(evidence.release),
            managers=tuple(sorted(evidence.managers)),
            contradictions=_capped(contradictions(evidence)),
            omitted=_capped(selection.omitted | tree.notes),
        ),
        size,
    )


def _capped(notes: set[str]) -> tuple[str, ...]:
    """Return the notes sorted; past the first ones only how many there are."""
    ordered = sorted(notes)
    if len(ordered) <= _MOST_NOTES:
        return tuple(ordered)
    return (*ordered[:_MOST_NOTES], f"more: {len(ordered) - _MOST_NOTES}")
