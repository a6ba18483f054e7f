# SPDX-License-Identifier: Apache-2.0
"""The present generation of advisory data: Clair's update operations and the feeds, looked at again and again."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

import msgspec
import structlog

from sifgate.clair.api import Clair
from sifgate.clair.schema import UpdateOperation
from sifgate.errors import ClairUnavailable
from sifgate.model.verdict import Generation
from sifgate.server.feedfiles import FeedFiles, FeedPlaces
from sifgate.verdict.joins import Feeds

_LOG = structlog.get_logger(__name__)
ASSEMBLY = 2
"""Raised when findings, coverage or joins are made differently: verdicts made before are matched again."""


class Advisories(msgspec.Struct, frozen=True):
    """One state of everything that a verdict depends on besides the layer."""

    generation: Generation
    operations: Mapping[str, UpdateOperation]
    """Newest advisory operation by updater."""
    enrichments: Mapping[str, UpdateOperation]
    feeds: Feeds
    index_state: str


def generation_of(
    operations: Mapping[str, UpdateOperation],
    enrichments: Mapping[str, UpdateOperation],
    files: FeedFiles,
    day: str = "",
) -> Generation:
    """Return the generation: equal data give equal ids on every server.

    `day` is the ISO date of today: when a package's support ends by the calendar, that is a new generation.
    """
    whole = hashlib.sha256(f"sifgate-generation\0{ASSEMBLY}\0".encode())
    for kind, newest in (("vulnerability", operations), ("enrichment", enrichments)):
        for name in sorted(newest):
            whole.update(f"{kind}\0{name}\0{newest[name].ref}\0".encode())
    for kind, digest in files.digests():
        whole.update(f"feed\0{kind}\0{digest}\0".encode())
    whole.update(f"ended\0{files.packages.reached(day)}\0".encode())
    return Generation(
        id=whole.hexdigest()[:32],
        advisories=max((operation.date for operation in operations.values()), default=""),
        kev=files.catalogue.date,
        eol=files.table.date,
        epss=files.scores.date,
        support=files.packages.date,
    )


class AdvisoryWatch:
    """Looks at Clair and the feeds; `current` is what it saw last, `reachable` whether Clair answered."""

    def __init__(
        self,
        clair: Clair,
        places: FeedPlaces,
        on_return: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._clair = clair
        self._places = places
        self._stamps = places.stamp()
        self._files = FeedFiles.load(places)
        self._now = now
        self._on_return = on_return
        self._lock = threading.Lock()
        self._marks = {"vulnerability": "", "enrichment": ""}
        self._newest: dict[str, dict[str, UpdateOperation]] = {"vulnerability": {}, "enrichment": {}}
        self.current: Advisories | None = None
        self.reachable = False
        self.problem = "Clair was not asked yet"

    def look(self) -> Advisories:
        """Return the present state; raises ClairUnavailable, and remembers that Clair is away."""
        with self._lock:
            try:
                seen = self._look()
            except ClairUnavailable as error:
                if self.reachable or self.current is None:
                    _LOG.warning("clair away", error=str(error), hint=error.hint)
                self.reachable, self.problem = False, str(error)
                raise
            returned, self.reachable, self.problem = not self.reachable, True, ""
            if self.current is None or self.current.generation.id != seen.generation.id:
                _LOG.info("generation", id=seen.generation.id, updaters=len(seen.operations))
            self.current = seen
        if returned:
            self._on_return()
        return seen

    def watch(self, stop: threading.Event, *, seconds: float, seconds_away: float = 2.0) -> None:
        """Look again and again until `stop`; runs in a thread of its own."""
        while not stop.is_set():
            try:
                self.look()
            except ClairUnavailable:
                stop.wait(seconds_away)
            except Exception:  # noqa: BLE001  # whatever it is, watching must go on
                _LOG.exception("look at advisories")
                stop.wait(seconds_away)
            else:
                stop.wait(seconds)

    def _look(self) -> Advisories:
        for kind in self._marks:
            news = self._clair.operations(kind, self._marks[kind])
            if news is not None:
                self._marks[kind], self._newest[kind] = news
        index_state = self._clair.index_state()
        self._reload()
        files, operations, enrichments = (
            self._files,
            self._files.dated(self._newest["vulnerability"]),
            self._newest["enrichment"],
        )
        return Advisories(
            generation=generation_of(operations, enrichments, files, self._now().date().isoformat()),
            operations=operations,
            enrichments=enrichments,
            feeds=files.joined(),
            index_state=index_state,
        )

    def _reload(self) -> None:
        """Read the feeds again if a file changed; a damaged one leaves its last good state and is told once."""
        stamps = self._places.stamp()
        if stamps == self._stamps:
            return
        self._stamps = stamps
        self._files, errors = self._files.renewed(self._places)
        for error in errors:
            _LOG.error("feed refused", error=str(error))  # no traceback: the text names the line
