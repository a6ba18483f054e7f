# SPDX-License-Identifier: Apache-2.0
"""The words of a command → the container runtimes that it starts, through whatever stands before them.

`env A=b timeout 60 bash -c 'cd x && apptainer exec …'` is read exactly; of a program that is not known the
words are searched for a runtime's name. Everything is bounded: what goes beyond a bound and names a runtime
is `UNKNOWN`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sifgate.origin import apptainer
from sifgate.origin.prefixes import INERT, KEYWORDS, LAUNCHERS, PREFIXES, SEGMENTED, SHELLS, after
from sifgate.origin.scope import Scope
from sifgate.origin.shell import Lexer, UnlexedError
from sifgate.origin.sighting import Sighting

MAX_NESTING = 8
"""Shells in shells."""
MAX_TEXT = 256 * 1024
"""Characters of shell text that are read: twice what one argument of execve can hold (MAX_ARG_STRLEN)."""
MAX_CANDIDATES = 64
"""Places in the words of an unknown program that are tried."""
MAX_LOOKED_AT = 200_000
"""Words that are gone through for all these places together: each of them is followed by all the rest."""
MAX_SIGHTINGS = 256

_NAMES = ("apptainer", "singularity")
_TELLING = (*_NAMES, *apptainer.IMAGE_SUFFIXES)


def names_runtime(text: str) -> bool:
    """Return whether a runtime's name occurs anywhere in `text`."""
    return any(name in text for name in _NAMES)


def of_command(words: Sequence[str], scope: Scope, depth: int = 0) -> Iterator[Sighting]:
    """Yield what the command `words` starts; assignments before it change `scope` for it alone."""
    at: int | None = 0
    scope = scope.copy()
    while at is not None and at < len(words):
        word = words[at]
        name = posixpath.basename(word)
        if name in PREFIXES:
            at = _skip(name, words, at, scope)
            continue
        if not scope.assign(word):
            yield from _moved(_started(words[at:] if at else words, scope, depth), at)
            return
        at += 1


def _moved(found: Iterable[Sighting], by: int) -> Iterator[Sighting]:
    """Yield sightings among words that begin `by` words later than those that the caller has."""
    for sighting in found:
        yield msgspec.structs.replace(sighting, word=sighting.word + by) if by and sighting.word else sighting


def _skip(name: str, words: Sequence[str], at: int, scope: Scope) -> int | None:
    """Return the index after a prefix, with what it changes taken into `scope`."""
    following = after(name, words, at)
    if name == "env":
        for index in range(at + 1, following if following is not None else len(words)):
            option, _, value = words[index].partition("=")
            if option == "-C" or (option == "--chdir" and not value):
                scope.chdir(words[index + 1] if index + 1 < len(words) else "-")
            elif option == "--chdir":
                scope.chdir(value)
    return following


def _started(words: Sequence[str], scope: Scope, depth: int) -> Iterator[Sighting]:
    """Yield what `words` start, prefixes and assignments gone."""
    name = posixpath.basename(words[0])
    if name in apptainer.NAMES:
        sighting = apptainer.read(words, scope.variables, scope.cwd)
        if sighting is not None:
            yield sighting
    elif apptainer.is_image_name(words[0]):
        yield apptainer.started_by_name(words, scope.variables, scope.cwd)
    elif name in SHELLS:
        yield from _of_shell(words, scope, depth)
    elif name == "eval":
        yield from of_text(" ".join(words[1:]), scope, depth + 1)
    elif name in SEGMENTED:
        for segment, skipped in _segments(words):
            yield from _moved(_search(segment, scope, depth), skipped)
    elif name not in INERT:
        yield from _search(words, scope, depth)


def _segments(words: Sequence[str]) -> Iterator[tuple[Sequence[str], int]]:
    """Yield the parts between lone colons, the launcher's name before each, and how many words it leaves out."""
    begin = 1
    for index in [i for i, word in enumerate(words) if word == ":"] + [len(words)]:
        yield [words[0], *words[begin:index]], begin - 1
        begin = index + 1


def _of_shell(words: Sequence[str], scope: Scope, depth: int) -> Iterator[Sighting]:
    """Yield what `bash -c TEXT NAME ARGUMENT…` starts; a script file is not read."""
    at = 2 if posixpath.basename(words[0]) == "busybox" else 1
    command = False
    while at < len(words) and words[at][:1] in {"-", "+"} and words[at] not in {"-", "--"}:
        option = words[at]
        long = option.startswith("--")
        command |= not long and option.startswith("-") and "c" in option
        at += 2 if option in {"--rcfile", "--init-file"} or (not long and option[-1] in "oO") else 1
    if at < len(words) and words[at] in {"-", "--"}:
        at += 1
    if command and at < len(words):
        inner = Scope(scope.cwd, scope.variables, tuple(words[at + 1 :]) or ("sh",))
        yield from of_text(words[at], inner, depth + 1)


def of_text(text: str, scope: Scope, depth: int = 0) -> Iterator[Sighting]:
    """Yield what a shell would start on reading `text`."""
    telling = any(sign in text for sign in _TELLING) or any(map(names_runtime, scope.parameters))
    if not telling:
        return
    if depth > MAX_NESTING or len(text) > MAX_TEXT:
        yield from _unread(text, scope)
        return
    lexer = Lexer(text, scope)
    try:
        for words, inner in lexer.commands():
            for sighting in _of_simple(words, inner, depth):
                yield msgspec.structs.replace(sighting, word=0) if sighting.word else sighting
    except UnlexedError:
        yield from _unread(text, scope)
    for body in lexer.bodies:
        yield from of_text(body, scope.copy(), depth + 1)


def _unread(text: str, scope: Scope) -> Iterator[Sighting]:
    """Yield an unknown launch if the text that could not be read names a runtime."""
    if names_runtime(text):
        yield apptainer.unreadable([text[: apptainer.MAX_WORDS]], scope.variables)


def _of_simple(words: list[str], scope: Scope, depth: int) -> Iterator[Sighting]:
    """Yield what one simple command of a shell starts; take its assignments and `cd` into `scope`."""
    at = 0
    while at < len(words) and words[at] in KEYWORDS:
        at += 1
    command = words[at:]
    if not command:
        return
    if command[0] in {"cd", "pushd"} and len(command) > 1:
        scope.chdir(command[-1])
    elif command[0] in {"export", "declare", "local", "readonly", "typeset"}:
        for word in command[1:]:
            scope.assign(word)
    elif all(scope.assign(word) for word in command):
        return
    else:
        yield from of_command(command, scope, depth)


def _search(words: Sequence[str], scope: Scope, depth: int) -> Iterator[Sighting]:
    """Yield the first runtime among the words of a program that is not known, or of a launcher."""
    launcher = posixpath.basename(words[0]) in LAUNCHERS
    tried = gone = 0
    for at in range(1, len(words)):
        word = words[at]
        if apptainer.is_runtime(word) and not _only_named(words, at):
            rest = words[at:]
            found = apptainer.read(rest, scope.variables, scope.cwd)
            yield from _moved([found or apptainer.unreadable(rest, scope.variables)], at)
            return
        if launcher and apptainer.is_image_name(word) and _after_options(words, at):
            yield apptainer.started_by_name(words[at:], scope.variables, scope.cwd)
            return
        if posixpath.basename(word) in SHELLS or (names_runtime(word) and any(c.isspace() for c in word)):
            tried += 1
            too_many = tried > MAX_CANDIDATES or tried * len(words) > MAX_LOOKED_AT
            if too_many or gone > MAX_TEXT or depth >= MAX_NESTING:
                yield from _unread(" ".join(words), scope)
                return
            inner = list(_candidate(words, at, scope, depth))
            yield from inner
            if inner:
                return
        gone += len(word)


def _candidate(words: Sequence[str], at: int, scope: Scope, depth: int) -> Iterator[Sighting]:
    """Yield what the shell, or the text of a shell, among the words starts."""
    if posixpath.basename(words[at]) in SHELLS:
        return _of_shell(words[at:], scope, depth + 1)
    return of_text(words[at], scope.copy(), depth + 1)


def _only_named(words: Sequence[str], at: int) -> bool:
    """Return whether the last word is only shown to a program that starts nothing (`srun which apptainer`)."""
    inert = posixpath.basename(words[at - 1]) in INERT
    return inert and at == len(words) - 1 and not words[at - 2].startswith("-")


def _after_options(words: Sequence[str], at: int) -> bool:
    """Return whether only options and their values can stand between the launcher and the word at `at`."""
    return at == 1 or words[at - 1].startswith("-") or (at > 1 and words[at - 2].startswith("-"))
