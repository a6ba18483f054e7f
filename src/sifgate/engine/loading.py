# SPDX-License-Identifier: Apache-2.0
"""Follows Clair while it loads advisories, and afterwards counts them again whenever they have changed.

Clair answers 200 with an incomplete report as soon as one row is there (clair.md §1.5), so its readiness is no proof:
loading is over when every updater that was told to run has an operation.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from sifgate.clair import token
from sifgate.engine import advisories, clair, keys, postgres
from sifgate.engine.parts import Engine
from sifgate.engine.report import Loaded
from sifgate.errors import ClairUnavailable, EngineError, StoreError

_EVERY_WHILE_LOADING = 0.5
_EVERY = 60.0


class Loading:
    """The state of the advisories, renewed by `look`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mark = ""
        self._next = 0.0
        self._dates: dict[str, datetime] | None = None
        self.done = "clair" not in engine.names()
        self.message = "loading advisories"
        self.loaded: tuple[Loaded, ...] = ()
        self.database_version = postgres.version() if "database" in engine.names() else ""

    def look(self, url: str) -> None:
        """Ask Clair, if it is time, which updaters have run; count rows when something is new."""
        if "clair" not in self._engine.names() or time.monotonic() < self._next:
            return
        layout, settings = self._engine.layout, self._engine.settings
        certificate = keys.certificate_file(layout, "clair")
        key = token.read_key(layout.secrets("agent") / "psk")
        try:
            mark, names = advisories.operations(url, certificate, key)
            if mark != self._mark:
                self.loaded = advisories.counts(
                    clair.dsn(layout, settings, "clair_matcher"), self._known_dates()
                )
                self._mark = mark
        except (ClairUnavailable, StoreError) as error:
            self.message = str(error)
            self._next = time.monotonic() + _EVERY_WHILE_LOADING
            return
        section = advisories.updaters(settings.advisories, "", self._engine.directories)
        waiting = missing(advisories.expected(settings.advisories, section), names)
        self.done = self.done or not waiting
        self.message = f"loading advisories: {', '.join(waiting)}" if waiting else ""
        self._next = time.monotonic() + (_EVERY if self.done else _EVERY_WHILE_LOADING)

    def _known_dates(self) -> dict[str, datetime]:
        """Return how old the data are where that is known better than by when they were loaded."""
        if self._dates is None:
            source = self._engine.settings.advisories
            self._dates = {}
            if source.source == "builtin":
                self._dates = advisories.shipped_dates()
            elif source.source == "bundle":
                try:
                    self._dates = advisories.bundle_dates(Path(source.path))
                except EngineError:
                    self._dates = {}
        return self._dates


def missing(wanted: tuple[str, ...], present: list[str]) -> list[str]:
    """Return the wanted name prefixes that no present updater has."""
    return [prefix for prefix in wanted if not any(name.startswith(prefix) for name in present)]
