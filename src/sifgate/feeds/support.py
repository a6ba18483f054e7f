# SPDX-License-Identifier: Apache-2.0
"""Packages whose security support ended early, from the tables of Debian's package `debian-security-support`.

They are GPL-2 and not shipped: the site's own copy is read where Debian puts it. Two forms are in use::

    security-support-ended.deb11   source  last-version                date  text
    security-support.deb12         source  non-supported  last-version date  text
                                   source  limited                           text
                                   source  supported                         text

`limited` (only for trusted content) is not the end of support, so `security-support-limited` is not read. As in
Debian's own check-support-status the last supported version does not matter, and a name is a pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError
from sifgate.feeds import text
from sifgate.model.support import PackageSupport

_FILE = re.compile(r"security-support(?P<ended>-ended)?\.deb(?P<release>\d{1,3})")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.*-]{0,127}", re.ASCII)
_ANY = re.compile(r"\.?\*")
"""Debian's file has `golang.*` and, for buster, `golang*`."""
_ENDED = "non-supported"
_GOING_ON = ("limited", "supported")


class Table(msgspec.Struct, frozen=True):
    """The tables of all releases."""

    packages: Mapping[tuple[str, str], PackageSupport] = {}
    """By (os-release ID, VERSION_ID)."""
    date: str = ""
    """ISO date of the newest file; empty: there is none."""
    digests: tuple[str, ...] = ()

    def reached(self, day: str) -> str:
        """Return the newest end of support not after the ISO date `day`: when it changes, findings do."""
        tables = self.packages.values()
        ends = [
            end for table in tables for end in (*table.ends.values(), *(end for _, end in table.patterns))
        ]
        return max((end for end in ends if end <= day), default="")


def load(directory: Path) -> Table:
    """Return what the tables in `directory` say; raises ConfigError that names file and line.

    Where a release has both forms, an entry of either counts, the earlier date first.
    """
    packages: dict[tuple[str, str], PackageSupport] = {}
    feeds = []
    try:
        files = sorted(path for path in directory.iterdir() if _FILE.fullmatch(path.name))
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be read: {error.strerror}") from error
    for path in files:
        name = _FILE.fullmatch(path.name)
        if name is None or not path.is_file():
            continue
        feed = text.read(path)
        release = ("debian", name["release"])
        found = parse(feed, combined=not name["ended"])
        packages[release] = _both(packages.get(release, PackageSupport()), found)
        feeds.append(feed)
    newest = max((feed.modified for feed in feeds), default="")
    return Table(
        packages=packages, date=newest, digests=tuple(f"{feed.path.name}:{feed.digest}" for feed in feeds)
    )


def parse(feed: text.FeedText, *, combined: bool) -> PackageSupport:
    """Return one file's entries; a table without any is a good one: no support has ended early. Raises ConfigError."""
    ends: dict[str, str] = {}
    patterns: list[tuple[re.Pattern[str], str]] = []
    for place, words in _rows(feed):
        name, when = _entry(words, place, combined=combined)
        if "*" in name:
            patterns.append((re.compile(".*".join(map(re.escape, _ANY.split(name)))), when))
        else:
            ends[name] = _earlier(when, ends.get(name, ""))
    return PackageSupport(ends=ends, patterns=tuple(patterns))


def _rows(feed: text.FeedText) -> Iterator[tuple[str, list[str]]]:
    """Give the place and the words of each line that is neither empty nor a comment."""
    for number, line in enumerate(feed.text.split("\n"), start=1):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield f"{feed.path}:{number}", words


def _entry(words: list[str], place: str, *, combined: bool) -> tuple[str, str]:
    """Return the package, and the date at which its support ended; no date if it goes on."""
    name, rest = words[0], words[1:]
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{place}: {name[:60]!r} is no name of a source package")
    if combined:
        kind, rest = (rest[0] if rest else ""), rest[1:]
        if kind in _GOING_ON:
            return name, ""
        if kind != _ENDED:
            raise ConfigError(f"{place}: {name} is {kind[:60]!r}, none of {', '.join((_ENDED, *_GOING_ON))}")
    when = rest[1] if len(rest) > 1 else ""
    try:
        good = date.fromisoformat(when).isoformat() == when
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"{place}: the end of {name}'s support is {when[:60]!r}, not a date as 2026-08-31")
    return name, when


def _both(one: PackageSupport, two: PackageSupport) -> PackageSupport:
    ends = dict(one.ends)
    for name, when in two.ends.items():
        ends[name] = _earlier(when, ends.get(name, ""))
    return PackageSupport(ends=ends, patterns=(*one.patterns, *two.patterns))


def _earlier(one: str, two: str) -> str:
    return min(filter(None, (one, two)), default="")
