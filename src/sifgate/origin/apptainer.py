# SPDX-License-Identifier: Apache-2.0
"""The command line of Apptainer and SingularityCE → the image that it starts.

::

    apptainer [root flags] COMMAND [SUBCOMMAND] [flags] [--] IMAGE …

Every command stops reading flags at the first word that is none, so nothing after the image belongs to the
runtime. Words that cannot be read (an unknown flag, a command of a plugin) give the reference `UNKNOWN`:
never "no launch".
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.origin.grammar import GRAMMAR, Flags
from sifgate.origin.injection import injected
from sifgate.origin.reference import classify, local, unknown
from sifgate.origin.sighting import Sighting

RUNTIME = "apptainer"
NAMES = frozenset(
    f"{name}{suffix}"
    for name in ("apptainer", "singularity", "run-singularity")
    for suffix in ("", ".real", ".apptainer")
)
"""Also under the names that a diversion (`dpkg-divert`) and Debian's alternatives give them."""
IMAGE_SUFFIXES = (".sif", ".simg")
"""Files that are started by their name: a SIF begins with `#!/usr/bin/env run-singularity`."""

_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_STOPS = frozenset({"help", "version", "build-config"})
MAX_WORDS = 64
"""Words of an unparsable command kept in its reference."""


class UnreadableError(Exception):
    """Words that the grammar does not hold; raised and caught in this file."""


def is_runtime(word: str) -> bool:
    """Return whether `word` names the runtime, with whatever path before it."""
    return posixpath.basename(word) in NAMES


def is_image_name(word: str) -> bool:
    """Return whether `word` looks like an image started by its own name."""
    return word.endswith(IMAGE_SUFFIXES) and len(posixpath.basename(word)) > len(".sif")


def read(words: Sequence[str], env: Mapping[str, str], cwd: str) -> Sighting | None:
    """Return what `words` (from the runtime's name on) start; None for a command that starts no container."""
    name = posixpath.basename(words[0])
    line = (RUNTIME, "--quiet", "run", *words[1:]) if name.startswith("run-singularity") else words
    try:
        launch = _launch(line)
    except UnreadableError:
        return unreadable(words, env)
    if launch is None:
        return None
    verb, options, at = launch
    return Sighting(
        reference=_reference(verb, options, line[at], cwd),
        argv=tuple(map(str, words)),
        content_injected=injected(options, env),
        runtime=RUNTIME,
        verb=verb,
        word=0 if verb in GRAMMAR.bundled else at - len(line) + len(words),
    )


def started_by_name(words: Sequence[str], env: Mapping[str, str], cwd: str) -> Sighting:
    """Return the sighting of an image that is itself the command."""
    return Sighting(
        reference=local(words[0], cwd),
        argv=tuple(map(str, words)),
        content_injected=injected((), env),
        runtime=RUNTIME,
        verb="run",
    )


def unreadable(words: Sequence[str], env: Mapping[str, str]) -> Sighting:
    """Return the sighting of a runtime whose words cannot be understood."""
    return Sighting(
        reference=unknown(" ".join(words[:MAX_WORDS])),
        argv=tuple(map(str, words)),
        content_injected=injected((), env),
        runtime=RUNTIME,
    )


def _reference(verb: str, options: list[tuple[str, str]], image: str, cwd: str) -> ImageReference:
    """Return the reference for the image, bundle or container that the command names."""
    if verb == "oci exec":
        return ImageReference(text=str(image), kind=ReferenceKind.INSTANCE)
    if verb in GRAMMAR.bundled:
        return bundle(dict(options).get("bundle", ""), cwd)
    return classify(image, cwd)


def bundle(directory: str, cwd: str) -> ImageReference:
    """Return the reference to an OCI bundle's root file system, where its tools put it (`rootfs`)."""
    if not directory:
        return unknown("--bundle")
    found = local(f"{directory.rstrip('/')}/rootfs", cwd)
    return ImageReference(text=str(directory), kind=found.kind, path=found.path)


def _launch(words: Sequence[str]) -> tuple[str, list[tuple[str, str]], int] | None:
    """Return (verb, options, index of the image) of a launch, None where no container starts."""
    options, at = _flags(words, 1, GRAMMAR.root)
    if _stops(options) or at >= len(words):
        return None
    verb, at = _verb(words, at)
    flags = GRAMMAR.flags(verb)
    if flags is None:
        return ("oci exec", [], _there(words, at)) if verb == "oci exec" else None
    options, at = _flags(words, at, flags)
    if _stops(options):
        return None
    return verb, options, _there(words, at)


def _verb(words: Sequence[str], at: int) -> tuple[str, int]:
    """Return the command, with its sub-command if it has one, and the index after it."""
    first = words[at]
    pair = f"{first} {words[at + 1]}" if at + 1 < len(words) else first
    for command, after in ((pair, at + 2), (first, at + 1)):
        if command in GRAMMAR.launching or command in GRAMMAR.bundled:
            return command, after
        if command in GRAMMAR.other:
            if command == "instance" and after < len(words) and not words[after].startswith("-"):
                raise UnreadableError
            return command, after
    raise UnreadableError


def _there(words: Sequence[str], at: int) -> int:
    if at >= len(words):
        raise UnreadableError
    return at


def _stops(options: list[tuple[str, str]]) -> bool:
    """Return whether one of the options makes the command print something instead of running."""
    return any(name in _STOPS and value not in _FALSE for name, value in options)


def _flags(words: Sequence[str], at: int, flags: Flags) -> tuple[list[tuple[str, str]], int]:
    """Return the options from `at` on and the index of the first positional; raises UnreadableError."""
    options: list[tuple[str, str]] = []
    while at < len(words):
        word = words[at]
        if word == "--":
            return options, at + 1
        if not word.startswith("-") or word == "-":
            return options, at
        at = (_long if word.startswith("--") else _cluster)(words, at, flags, options)
    return options, at


def _long(words: Sequence[str], at: int, flags: Flags, options: list[tuple[str, str]]) -> int:
    """Read `--name`, `--name=value` or `--name value`; return the index after it."""
    name, equals, value = words[at][2:].partition("=")
    if name in flags.value:
        if equals:
            options.append((name, value))
            return at + 1
        options.append((name, words[_there(words, at + 1)]))
        return at + 2
    if name not in flags.bool and name != "help":
        raise UnreadableError
    options.append((name, _boolean(value if equals else "true")))
    return at + 1


def _cluster(words: Sequence[str], at: int, flags: Flags, options: list[tuple[str, str]]) -> int:
    """Read `-cCe`, `-Bv`, `-B=v`, `-B v`, `-c=false`; return the index after it (as pflag does)."""
    letters = words[at][1:]
    for index, letter in enumerate(letters, start=1):
        name = flags.short.get(letter, "help" if letter == "h" else "")
        glued = letters.startswith("=", index) and len(letters) > index + 1
        if name in flags.value:
            value = letters[index + 1 if glued else index :]
            options.append((name, value or words[_there(words, at + 1)]))
            return at + 1 if value else at + 2
        if not name:
            raise UnreadableError
        if glued:
            options.append((name, _boolean(letters[index + 1 :])))
            return at + 1
        options.append((name, "true"))
    return at + 1


def _boolean(value: str) -> str:
    if value not in _TRUE and value not in _FALSE:
        raise UnreadableError
    return value
