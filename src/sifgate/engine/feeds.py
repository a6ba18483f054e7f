# SPDX-License-Identifier: Apache-2.0
"""Feeds for the server: the site's own where it has them, else the shipped ones; and the shipped advisories' dates."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sifgate.engine import keys, mirror
from sifgate.engine.accounts import Account
from sifgate.engine.layout import Layout
from sifgate.errors import ConfigError

_SHIPPED = ("kev.json.gz", "debian.csv", "ubuntu.csv")
_NOT_SHIPPED = ("epss.csv.gz",)
"""Read if the site brings it: scores are of use for a day, and a copy of ours would pretend otherwise."""


class Feeds:
    """The server's directory of feeds, kept in step with the site's own in `<etc>/feeds/`."""

    def __init__(self, layout: Layout, owner: Account, *, builtin: bool) -> None:
        self._layout = layout
        self._own = layout.places.etc / "feeds"
        self._owner = owner
        self._builtin = builtin
        self._stamps = self._stamp()

    def fill(self) -> None:
        """Put the feeds where the server looks; raises ConfigError for a file of the site's that cannot be read.

        With builtin advisories their dates go along; of others only Clair's time of loading is known.
        """
        self._stamps = self._stamp()
        for name in (*_SHIPPED, *_NOT_SHIPPED):
            self._put(name)
        dates = self._layout.feeds / "advisories.json"
        if not self._builtin:
            dates.unlink(missing_ok=True)
            return
        known = {name: source.as_of for name, source in mirror.shipped().sources.items()}
        keys.write(dates, msgspec.json.encode(known), self._owner, mode=0o644)

    def follow(self) -> bool:
        """Fill again if a file of the site's changed since, and return whether; raises ConfigError, once a change."""
        if self._stamp() == self._stamps:
            return False
        self.fill()
        return True

    def _put(self, name: str) -> None:
        plain = name.removesuffix(".gz")
        own = (self._own / word for word in (name, plain))
        shipped = mirror.DATA / "feeds" / name if name in _SHIPPED else None
        source = next((file for file in own if file.exists()), shipped)
        for stale in {name, plain} - {source.name if source else ""}:
            (self._layout.feeds / stale).unlink(missing_ok=True)
        if source is None:
            return
        try:
            content, modified = source.read_bytes(), source.stat().st_mtime_ns
        except OSError as error:
            raise ConfigError(f"{source}: cannot be read: {error.strerror}") from error
        target = self._layout.feeds / source.name
        keys.write(target, content, self._owner, mode=0o644)
        os.utime(target, ns=(modified, modified))  # the date of a table without one is that of its file

    def _stamp(self) -> tuple[tuple[str, int, int], ...]:
        names = {word for name in (*_SHIPPED, *_NOT_SHIPPED) for word in (name, name.removesuffix(".gz"))}
        return tuple(mark for name in sorted(names) if (mark := _mark(self._own / name)))


def _mark(file: Path) -> tuple[str, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return file.name, found.st_mtime_ns, found.st_size
