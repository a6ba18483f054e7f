# SPDX-License-Identifier: Apache-2.0
"""Every kind of bad image ends within bounds in a state of the design, and is never clean."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.unit.image import bad_files, bad_trees
from tests.unit.image.corpus import CASES, Case

from sifgate.errors import Unscannable
from sifgate.image.bounds import MIB, Bounds
from sifgate.image.reader import Reader
from sifgate.image.tarball import members
from sifgate.image.worker import CAUSES, extract_measured, recheck

BOUNDS = Bounds(wall_seconds=120.0, cpu_seconds=60, memory=1 << 30)
MODULES = (bad_files, bad_trees)
"""Importing them fills the corpus."""
MOST_RESIDENT = 400 * MIB


def _outcome(path: Path) -> str:
    """Return the cause, or what the facts note; checks what must hold for every layer that comes out."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        extraction, layer, examined = extract_measured(fd, bounds=BOUNDS)
    except Unscannable as error:
        return error.cause
    finally:
        os.close(fd)
    try:
        assert examined.peak_memory < MOST_RESIDENT
        recheck(layer, extraction)
        list(members(Reader(layer, 0, extraction.layer_size, 1 << 40), 1000))
    finally:
        os.close(layer)
    notes = [f"omitted {each.partition(':')[0]}" for each in extraction.facts.omitted]
    notes += [f"contradiction {each.partition(':')[0]}" for each in extraction.facts.contradictions]
    return " ".join(notes) or "clean"


def test_there_are_many_kinds() -> None:
    """The corpus holds at least the 25 kinds that the issue asks for."""
    assert len({each.name.partition(":")[0] for each in CASES}) >= 25


@pytest.mark.parametrize("hostile", CASES, ids=lambda each: each.name)
def test_bad_image_ends_in_its_state(hostile: Case, tmp_path: Path) -> None:
    """The image comes out as its cause or with what was left out noted, in time."""
    path = hostile.make(tmp_path)
    start = time.monotonic()
    outcome = _outcome(path)
    assert hostile.expected in outcome
    assert outcome in CAUSES or outcome.startswith(("omitted", "contradiction"))
    assert time.monotonic() - start < BOUNDS.wall_seconds
