# SPDX-License-Identifier: Apache-2.0
"""From a SIF to its slim layer: time against a bare `unsquashfs`, share of the image read, memory of the worker.

The image is bullseye-sci (525 MB, 24,510 entries). Both run in turns on a warm page cache, so that a busy machine
slows both; the ratio is that of the medians.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from testbed.packages import require

from bench.figure import Figure
from bench.predecessor import unsquash_seconds
from bench.subject import subject
from sifgate.image.examine import Examined
from sifgate.image.worker import extract_measured, recheck, sandbox_layers
from sifgate.model.image import Extraction

RUNS = 3
_MIB = 1 << 20


def measure() -> list[Figure]:
    """Return the figures; takes about half a minute."""
    require("unsquashfs")
    image = subject()
    fd = os.open(image.path, os.O_RDONLY)
    try:
        sandbox_layers()
        ours, theirs = [], []
        with tempfile.TemporaryDirectory(prefix="sifgate-bench-") as scratch:
            for _ in range(RUNS):
                ours.append(_extract(fd))
                theirs.append(unsquash_seconds(image.path, image.offset, Path(scratch)))
    finally:
        os.close(fd)
    return _figures(ours, statistics.median(theirs), image.size)


class Lap:
    """One extraction."""

    def __init__(
        self, seconds: float, recheck_seconds: float, extraction: Extraction, examined: Examined
    ) -> None:
        self.seconds = seconds
        self.recheck_seconds = recheck_seconds
        self.extraction = extraction
        self.examined = examined


def _extract(fd: int) -> Lap:
    started = time.perf_counter()
    extraction, layer, examined = extract_measured(fd)
    seconds = time.perf_counter() - started
    try:
        started = time.perf_counter()
        recheck(layer, extraction)
        return Lap(seconds, time.perf_counter() - started, extraction, examined)
    finally:
        os.close(layer)


def _figures(ours: list[Lap], unsquash: float, size: int) -> list[Figure]:
    seconds = statistics.median(lap.seconds for lap in ours)
    last = ours[-1]
    peak = max(lap.examined.peak_memory for lap in ours) / _MIB
    return [
        Figure("image to slim layer, worker start included", seconds, "s", note=f"median of {RUNS}"),
        Figure("bare unsquashfs -p 2", unsquash, "s", note=f"median of {RUNS}, in turns with the above"),
        Figure("  image to slim layer, of a bare unsquashfs", seconds / unsquash, "×", target=0.5),
        Figure("slim layer", last.extraction.layer_size / 1000, "kB"),
        Figure("  slim layer, of the image", 100 * last.extraction.layer_size / size, "%", target=0.1),
        Figure("image bytes read", 100 * last.extraction.bytes_read / size, "%"),
        Figure("sandboxed worker resident", peak, "MiB", target=300),
        Figure("recheck of the layer", statistics.median(lap.recheck_seconds for lap in ours), "s"),
    ]
