# SPDX-License-Identifier: Apache-2.0
"""Follows Clair while it loads advisories, and afterwards counts them again whenever they have changed.

Clair answers 200 with an incomplete report as soon as one row is there (clair.md §1.5), so its readiness is no proof:
loading is over when every updater that was told to run has an operation.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from sifgate.engine import advisories, bundle, clair, postgres
from sifgate.engine.parts import Engine
from sifgate.engine.report import Loaded
from sifgate.errors import ClairUnavailable, StoreError

_EVERY_WHILE_LOADING = 0.5
_EVERY = 60.0


class Loading:
    """The state of the advisories, renewed by `look`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._mark = ""
        self._next = 0.0
        builtin = engine.settings.advisories.source == "builtin"
        self._dates: dict[str, datetime] = advisories.shipped_dates() if builtin else {}
        self._import: bundle.Import | None = None
        self.done = "clair" not in engine.names()
        self.message = "loading advisories"
        self.loaded: tuple[Loaded, ...] = ()
        self.database_version = postgres.version() if "database" in engine.names() else ""

    def look(self, url: str) -> None:
        """Ask Clair, if it is time, which updaters have run; count rows when something is new.

        Raises `EngineError` if a bundle cannot be imported.
        """
        if "clair" not in self._engine.names() or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (_EVERY if self.done else _EVERY_WHILE_LOADING)
        if not self._is_imported():
            self.message = "importing the bundle of advisories"
            return
        try:
            self._ask(url)
        except (ClairUnavailable, StoreError) as error:
            self.message = str(error)

    def stop(self) -> None:
        """End an import that still runs."""
        if self._import:
            self._import.stop()

    def _is_imported(self) -> bool:
        """Return whether there is no bundle, or it is in; the first call starts the import."""
        engine = self._engine
        if engine.settings.advisories.source != "bundle" or self.done:
            return True
        if self._import is None:
            self._dates = bundle.dates(Path(engine.settings.advisories.path))
            self._import = bundle.Import(engine.layout, engine.settings, engine.accounts.clair)
        return self._import.is_done()

    def _ask(self, url: str) -> None:
        layout, settings = self._engine.layout, self._engine.settings
        mark, names = advisories.operations(clair.address(layout, url))
        if mark != self._mark:
            self.loaded = advisories.counts(clair.dsn(layout, settings, "clair_matcher"), self._dates)
            self._mark = mark
        section = advisories.updaters(settings.advisories, "", self._engine.directories)
        waiting = missing(advisories.expected(settings.advisories, section), names)
        self.done = self.done or not waiting
        self.message = f"loading advisories: {', '.join(waiting)}" if waiting else ""


def missing(wanted: tuple[str, ...], present: list[str]) -> list[str]:
    """Return the wanted name prefixes that no present updater has."""
    return [prefix for prefix in wanted if not any(name.startswith(prefix) for name in present)]
