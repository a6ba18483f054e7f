# SPDX-License-Identifier: Apache-2.0
"""What a word in the image's place refers to; never looks at the file system.

Rules of Apptainer's `internal/pkg/util/uri/uri.go`: the text before the first colon is a transport if `//`
follows, or if it is one of the known transports; anything else is a path, colons and all.
"""

from __future__ import annotations

import posixpath
import re

from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.origin.grammar import GRAMMAR

_OF_A_PROCESS = ("/proc/self/", "/proc/thread-self/", "/dev/fd/", "/dev/std")
"""Paths that mean another file to the shim that opens the image than to the runtime."""
_OWN = re.compile(r"/(?:proc/(?:self|thread-self)/fd|dev/fd)/[0-9]{1,9}|/dev/stdin")
"""Those of them that name one descriptor of the process, and nothing below or beside it."""
MAX_TEXT = 4096
"""Characters of an unparsable command kept as the reference's text."""

LONGEST_PATH = 8192
"""Bytes of a path that is taken for one: twice what the kernel opens, and as much as a record keeps whole."""


class Unexpanded(str):
    """A word of a shell that holds an expansion whose value is not known."""

    __slots__ = ()


def unknown(text: str) -> ImageReference:
    """Return the reference of a runtime that is started in a way that cannot be understood."""
    return ImageReference(text=str(text)[:MAX_TEXT], kind=ReferenceKind.UNKNOWN)


def classify(text: str, cwd: str) -> ImageReference:
    """Return what `text` refers to for a launch in `cwd` (empty: not known)."""
    left, colon, rest = text.partition(":")
    if not text or "\0" in text or isinstance(text, Unexpanded):
        return unknown(text)
    if colon and (rest.startswith("//") or left in GRAMMAR.transports):
        kind = ReferenceKind.INSTANCE if left == "instance" else ReferenceKind.TRANSPORT
        return ImageReference(text=str(text), kind=kind)
    return local(text, cwd)


def local(text: str, cwd: str) -> ImageReference:
    """Return the reference to the path `text`; `UNKNOWN` where it cannot be made absolute."""
    path = absolute(text, cwd)
    if not path or path.startswith(_OF_A_PROCESS) or _endless(path):
        return unknown(text)
    return ImageReference(text=str(text), kind=ReferenceKind.PATH, path=path)


def _endless(path: str) -> bool:
    return len(path) > LONGEST_PATH // 4 and len(path.encode("utf-8", "surrogateescape")) > LONGEST_PATH


def own(reference: ImageReference) -> ImageReference:
    """Return the path of a descriptor that the process itself holds as one that can be opened; any other unchanged."""
    if reference.kind is not ReferenceKind.UNKNOWN or not _OWN.fullmatch(reference.text):
        return reference
    return ImageReference(text=reference.text, kind=ReferenceKind.PATH, path=reference.text)


def absolute(text: str, cwd: str) -> str:
    """Return `text` against `cwd`, symlinks and `..` untouched; empty where `cwd` is needed and not known."""
    if text.startswith("/"):
        return str(text)
    if not cwd.startswith("/"):
        return ""
    while text.startswith("./"):
        text = text[2:].lstrip("/")
    return posixpath.join(cwd, text) if text else str(cwd)
