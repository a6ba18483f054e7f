# SPDX-License-Identifier: Apache-2.0
"""The feeds as read from their directories: each keeps its last good state when its file becomes unreadable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from sifgate.clair.schema import UpdateOperation
from sifgate.errors import ConfigError
from sifgate.feeds import eol, epss, kev, published, support
from sifgate.verdict.joins import Feeds


class FeedPlaces(msgspec.Struct, frozen=True):
    """Where the feeds lie; None: there are none."""

    feeds: Path | None = None
    packages: Path | None = None
    """Debian's tables of packages whose support ended early; None: looked for among the others."""

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Return what changes when a file does: names, times, sizes."""
        places = [place for place in (self.feeds, self.packages) if place is not None]
        files = sorted(path for place in places for path in place.glob("*") if not path.name.startswith("."))
        return tuple(mark for path in files if (mark := _mark(path)))


def _mark(path: Path) -> tuple[str, int, int] | None:
    try:
        found = path.stat()
    except OSError:  # gone since it was listed
        return None
    return str(path), found.st_mtime_ns, found.st_size


class FeedFiles(msgspec.Struct, frozen=True):
    """What the files say."""

    catalogue: kev.Catalogue = kev.Catalogue()
    table: eol.Table = eol.Table()
    published: published.Published = published.Published()
    scores: epss.Scores = epss.Scores()
    packages: support.Table = support.Table()

    @classmethod
    def load(cls, places: FeedPlaces) -> FeedFiles:
        """Return what the files say, nothing where there is no directory; raises ConfigError for the first bad one."""
        files, errors = cls().renewed(places)
        if errors:
            raise errors[0]
        return files

    def renewed(self, places: FeedPlaces) -> tuple[FeedFiles, list[ConfigError]]:
        """Return what the files say now, and what is wrong with those that leave the state of before."""
        read: dict[str, Any] = {}
        errors: list[ConfigError] = []
        for name, load, directory in _readers(places):
            try:
                read[name] = load(directory)
            except ConfigError as error:
                errors.append(error)
        return msgspec.structs.replace(self, **read), errors

    def dated(self, operations: Mapping[str, UpdateOperation]) -> dict[str, UpdateOperation]:
        """Return the operations with the date of their data in place of the date of loading, where it is known."""
        dates = self.published.dates
        return {
            name: msgspec.structs.replace(each, date=dates.get(name, each.date))
            for name, each in operations.items()
        }

    def digests(self) -> list[tuple[str, str]]:
        """Return kind and digest of each file, in a fixed order."""
        return [
            ("kev", self.catalogue.digest),
            *(("eol", digest) for digest in self.table.digests),
            ("published", self.published.digest),
            ("epss", self.scores.digest),
            *(("support", digest) for digest in self.packages.digests),
        ]

    def joined(self) -> Feeds:
        """Return what is joined to scans."""
        return Feeds(
            kev=self.catalogue.added,
            support=self.table.support,
            epss=self.scores.values,
            packages=self.packages.packages,
        )


def _readers(places: FeedPlaces) -> list[tuple[str, Callable[[Path], Any], Path]]:
    """Return the member, the function and the directory of each feed that has a directory."""
    given = [
        ("catalogue", kev.load, places.feeds),
        ("table", eol.load, places.feeds),
        ("published", published.load, places.feeds),
        ("scores", epss.load, places.feeds),
        ("packages", support.load, places.packages or places.feeds),
    ]
    return [(name, load, directory) for name, load, directory in given if directory is not None]
