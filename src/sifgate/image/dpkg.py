# SPDX-License-Identifier: Apache-2.0
"""A dpkg database as evidence: what `status` says beside what the lists of installed files say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_FIELD = re.compile(rb"[!-9;-~]+:")
_CLOSED = re.compile(rb"\n[ \t]*\n\s*\Z")


class Stanza(NamedTuple):
    """One package of a status file."""

    name: str
    version: str
    architecture: str
    visible: bool
    """Whether Clair counts it: the words `ok` and `installed` in its Status."""


class Status(NamedTuple):
    """A status file."""

    stanzas: tuple[Stanza, ...]
    malformed: int
    """Stanzas that Clair's reader breaks off at: a line that is neither field nor continuation."""
    unclosed: str = ""
    """The last package if no empty line follows it: Clair drops it (measured, v4.9.0); dpkg always writes that line."""

    def version(self, name: str) -> str:
        """Return the version of a package that Clair sees, or ""."""
        return next((each.version for each in self.stanzas if each.visible and each.name == name), "")


def parse_status(data: bytes) -> Status:
    """Return what a status file says; never raises."""
    stanzas = []
    malformed = 0
    whole = data.replace(b"\r\n", b"\n")
    for text in re.split(rb"\n[ \t]*\n", whole):
        fields: dict[bytes, bytes] = {}
        for line in text.split(b"\n"):
            if not line or line[:1] in b" \t":
                continue
            if not _FIELD.match(line):
                malformed += 1
                break
            name, _, value = line.partition(b":")
            fields.setdefault(name.lower(), value.strip())
        if b"package" in fields:
            words = fields.get(b"status", b"").split()
            stanzas.append(
                Stanza(
                    fields[b"package"].decode("ascii", "replace"),
                    fields.get(b"version", b"").decode("ascii", "replace"),
                    fields.get(b"architecture", b"").decode("ascii", "replace"),
                    b"ok" in words and b"installed" in words,
                )
            )
    unclosed = stanzas[-1].name if stanzas and not _CLOSED.search(whole) else ""
    return Status(tuple(stanzas), malformed, unclosed)


def against_lists(status: Status, names: Iterable[bytes]) -> set[str]:
    """Return how a status file and the names in `info/` contradict each other, each `code: detail`."""
    lists, sums = set(), set()
    for name in names:
        stem, dot, kind = name.decode("ascii", "replace").rpartition(".")
        if dot and kind == "list":
            lists.add(stem.partition(":")[0])
        elif dot and kind == "md5sums":
            sums.add(stem.partition(":")[0])
    known = {each.name for each in status.stanzas}
    visible = {each.name for each in status.stanzas if each.visible}
    found = set()
    if status.malformed:
        found.add(f"dpkg-malformed: {status.malformed} entries of status that a reader breaks off at")
    if status.unclosed:
        found.add(
            f"dpkg-unclosed: {_shown(status.unclosed)} ends status without the empty line that closes an entry"
        )
    found |= _some("dpkg-unlisted", lists - known, "own files but are not in status")
    found |= _some("dpkg-hidden", (sums & known) - visible, "have their files but do not count as installed")
    if lists:
        found |= _some("dpkg-no-files", visible - lists, "are in status but own no files")
    return found | _some("dpkg-repeated", _repeated(status), "are in status more than once")


def _repeated(status: Status) -> set[str]:
    seen, repeated = set(), set()
    for each in status.stanzas:
        key = (each.name, each.architecture)
        if key in seen:
            repeated.add(each.name)
        seen.add(key)
    return repeated


def _some(code: str, names: set[str], what: str) -> set[str]:
    if not names:
        return set()
    return {f"{code}: {len(names)} packages {what}, such as {_shown(min(names))}"}


def _shown(name: str) -> str:
    return ascii(name).strip("'")[:80]
