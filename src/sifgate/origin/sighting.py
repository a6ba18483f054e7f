# SPDX-License-Identifier: Apache-2.0
"""What a door hands to the parsers, and what they saw in it; values only.

A parser never opens, stats or resolves anything: it reads words. Bytes that are not UTF-8 travel as
surrogate escapes, so that a path can be given back to the kernel exactly as the user typed it.
"""

from __future__ import annotations

import msgspec

from sifgate.model.image import ImageReference


class RawLaunch(msgspec.Struct, frozen=True):
    """The raw facts of one launch, as one door received them."""

    argv: tuple[str, ...] = ()
    """The words of the step or command; with `multiprog`, the name and then the text of the file."""
    env: dict[str, str] = {}
    """The variables of the launch that parsers read (`sifgate.origin.slurm.ENVIRONMENT`)."""
    cwd: str = ""
    """Absolute; a relative image path is meant against it."""
    multiprog: bool = False
    script: str = ""
    """The head of a batch script; what is seen in it is a guess about what will run."""
    own_paths: bool = False
    """Whether who opens the image is, or stands for, the process that is launched: only then do paths such as
    `/proc/self/fd/9` mean to it what they mean to the runtime."""


class Sighting(msgspec.Struct, frozen=True):
    """One start of a container runtime that was recognised in a launch."""

    reference: ImageReference
    argv: tuple[str, ...] = ()
    """The words of the runtime's command, from its name on."""
    content_injected: tuple[str, ...] = ()
    """Options and variables that put other content over the image's, as typed."""
    runtime: str = ""
    """`apptainer` (SingularityCE's grammar is the same), `pyxis`, `oci`."""
    verb: str = ""
    """`exec`, `run`, `shell`, `test`, `instance start`, …; empty where the words are not understood."""
    word: int = 0
    """Index of the image among the words of the launch, where it stands there as typed; 0: it does not."""
    guess: bool = False
    """Seen in the text of a batch script: it may run later, or never; `UNKNOWN` is no ground to refuse."""
