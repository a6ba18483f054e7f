# SPDX-License-Identifier: Apache-2.0
"""CISA's catalogue of known exploited vulnerabilities, from its JSON file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError
from sifgate.feeds import text

NAME = "kev.json"
_CVE = re.compile(r"CVE-\d{4}-\d{4,19}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_BYTE = re.compile(r"byte (\d+)")


class Catalogue(msgspec.Struct, frozen=True):
    """The catalogue as sifgate uses it."""

    added: Mapping[str, str] = {}
    """ISO date of listing by CVE."""
    date: str = ""
    """ISO date of release; empty: no catalogue is there."""
    digest: str = ""


class _Entry(msgspec.Struct, frozen=True):
    cve: str = msgspec.field(name="cveID")
    added: str = msgspec.field(name="dateAdded")


class _Document(msgspec.Struct, frozen=True):
    vulnerabilities: list[_Entry]
    released: str = msgspec.field(name="dateReleased", default="")
    version: str = msgspec.field(name="catalogVersion", default="")


def load(directory: Path) -> Catalogue:
    """Return the catalogue in `directory/kev.json[.gz]`, an empty one if there is none; raises ConfigError."""
    path = text.find(directory, NAME)
    return parse(text.read(path)) if path else Catalogue()


def parse(feed: text.FeedText) -> Catalogue:
    """Return the catalogue in a feed; raises ConfigError that names file and line, or the entry."""
    try:
        document = msgspec.json.decode(feed.text, type=_Document)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{_place(feed, error)}: is not a KEV catalogue: {error}") from error
    if not document.vulnerabilities:
        raise ConfigError(f"{feed.path}: the catalogue is empty")
    for entry in document.vulnerabilities:
        if not _CVE.fullmatch(entry.cve) or not _DATE.fullmatch(entry.added):
            line = _line(feed.text, entry.cve)
            raise ConfigError(
                f"{feed.path}:{line}: entry {entry.cve!r} of {entry.added!r} is not a CVE with an ISO date"
            )
    date = document.released[:10] if _DATE.match(document.released) else document.version.replace(".", "-")
    added = {entry.cve: entry.added for entry in document.vulnerabilities}
    return Catalogue(added=added, date=date, digest=feed.digest)


def _place(feed: text.FeedText, error: Exception) -> str:
    """Return file:line of a syntax error; the file alone where the shape is wrong."""
    byte = _BYTE.search(str(error))
    if byte is None:
        return str(feed.path)
    before = feed.text.encode()[: int(byte.group(1))]
    line = before.count(b"\n") + 1
    return f"{feed.path}:{line}"


def _line(whole: str, word: str) -> int:
    return whole.count("\n", 0, max(whole.find(word), 0)) + 1
