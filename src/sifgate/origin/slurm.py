# SPDX-License-Identifier: Apache-2.0
"""What a Slurm step starts: argv, multi-prog file, batch script or container option → sightings; pure.

Whatever the words, this returns: it never raises, and its time is linear in them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from itertools import islice

import msgspec

from sifgate.model.image import ImageReference
from sifgate.origin import apptainer
from sifgate.origin.containers import of_environment
from sifgate.origin.multiprog import commands
from sifgate.origin.prefixes import SHELLS
from sifgate.origin.reference import own, unknown
from sifgate.origin.scope import Scope
from sifgate.origin.sighting import RawLaunch, Sighting
from sifgate.origin.words import MAX_SIGHTINGS, of_command, of_text

_TEXT = "multiprog=text"
"""Stands for a multi-prog file's text where the step is read as an ordinary command (`env '0 A=b' apptainer …`)."""


def sightings(raw: RawLaunch) -> tuple[Sighting, ...]:
    """Return what `raw` starts, in the order of its words, each image once; empty: no known runtime."""
    found: dict[tuple[ImageReference, tuple[str, ...]], Sighting] = {}
    for seen in islice(_all(raw), MAX_SIGHTINGS * 4):
        sighting = msgspec.structs.replace(seen, reference=own(seen.reference)) if raw.own_paths else seen
        first = found.setdefault((sighting.reference, sighting.content_injected), sighting)
        if first.word != sighting.word:  # one image at two places: no single word stands for it
            found[sighting.reference, sighting.content_injected] = msgspec.structs.replace(first, word=0)
        if len(found) > MAX_SIGHTINGS:
            more = Sighting(reference=unknown("more images than are judged"), runtime=apptainer.RUNTIME)
            return (*list(found.values())[:MAX_SIGHTINGS], more)
    return tuple(found.values())


def _all(raw: RawLaunch) -> Iterator[Sighting]:
    scope = Scope(raw.cwd, raw.env)
    yield from of_environment(raw.env, raw.cwd)
    argv = raw.argv
    if raw.multiprog and len(argv) > 1:
        for words in commands(argv[1]):
            for sighting in of_command(words, scope):
                yield msgspec.structs.replace(sighting, word=0)
        argv = (
            argv[0],
            _TEXT,
            *argv[2:],
        )  # read as a command too: SPANK only guesses that a step is multi-prog
    yield from of_command(argv, scope)
    if raw.script and _is_shell(raw.script):
        for sighting in of_text(raw.script, Scope(raw.cwd, raw.env, raw.argv)):
            yield msgspec.structs.replace(sighting, guess=True)


def _is_shell(script: str) -> bool:
    """Return whether the script's first line names a shell (`#!/usr/bin/env bash`, `#!/bin/sh -l`)."""
    first = script.partition("\n")[0]
    return first.startswith("#!") and any(posixpath.basename(word) in SHELLS for word in first[2:].split())
