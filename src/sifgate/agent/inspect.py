# SPDX-License-Identifier: Apache-2.0
"""Reads one image through the sandboxed worker, and lets the memo keep what was learnt if nothing moved meanwhile."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial

from sifgate.admission.ports import Footing
from sifgate.agent.cache import Cache
from sifgate.agent.identity import identify
from sifgate.agent.memo import Memo, Reading
from sifgate.agent.mounts import Mounts
from sifgate.errors import Unscannable
from sifgate.image.worker import extract
from sifgate.model.image import CoverageFacts, Extraction
from sifgate.model.verdict import ScanState, UnscannableCause

Extract = Callable[[int], tuple[Extraction, int]]
_TRIES = 2
"""Readings of an image that changes while it is read."""
_NOTHING = Extraction("", 0, "", 0, CoverageFacts())


class Inspection:
    """What one reading found: `footing` where the image cannot be scanned, else `extraction` and its `layer`."""

    def __init__(self, footing: Footing | None, extraction: Extraction = _NOTHING, layer: int = -1) -> None:
        self.footing = footing
        self.extraction = extraction
        self.layer = layer
        """Descriptor of the slim layer."""


class Inspector:
    """Runs workers, so many at a time; called from threads."""

    def __init__(
        self,
        memo: Memo,
        mounts: Mounts,
        cache: Cache,
        *,
        workers: int,
        extract_one: Extract | None = None,
        uid: int | None,
    ) -> None:
        self.workers = workers
        self._memo = memo
        self._mounts = mounts
        self._cache = cache
        self._extract: Extract = extract_one or partial(extract, uid=uid)
        self._turns = threading.Semaphore(workers)
        self.extractions = 0

    def look(self, descriptor: int) -> None:
        """Judge the mount of a descriptor; may wait for a file server."""
        with contextlib.suppress(OSError):
            self._mounts.judge(descriptor, identify(descriptor))

    @contextlib.contextmanager
    def inspect(self, descriptor: int) -> Iterator[Inspection]:
        """Yield what the image holds; its layer is closed afterwards."""
        with self._turns:
            inspection = self._inspect(descriptor)
        try:
            yield inspection
        finally:
            if inspection.layer >= 0:
                os.close(inspection.layer)

    def _inspect(self, descriptor: int) -> Inspection:
        for _ in range(_TRIES):
            reading = Reading(descriptor, self._mounts)
            inspection = self._read(descriptor)
            still, life = reading.close()
            if still:
                self._keep(reading, inspection, life)
                return inspection
            if inspection.layer >= 0:
                os.close(inspection.layer)
        return Inspection(_unscannable(UnscannableCause.MALFORMED, "the image changed while it was read"))

    def _read(self, descriptor: int) -> Inspection:
        self.extractions += 1
        try:
            return Inspection(None, *self._extract(descriptor))
        except Unscannable as error:
            return Inspection(_unscannable(_cause_of(error.cause), str(error)))
        except OSError as error:
            return Inspection(_unscannable(UnscannableCause.FILESYSTEM, error.strerror or str(error)))

    def _keep(self, reading: Reading, inspection: Inspection, life: float) -> None:
        footing = inspection.footing
        if footing is not None and footing.unscannable in _PASSING:
            return
        kept = self._memo.keep(reading, footing or inspection.extraction.fingerprint, life)
        if kept is not None and footing is None:
            self._cache.keep_file(kept[0], inspection.extraction.fingerprint, kept[1])


_PASSING = frozenset({UnscannableCause.SANDBOX, UnscannableCause.FILESYSTEM, UnscannableCause.BOUNDS})
"""Causes that another try may not meet again."""


def _cause_of(word: str) -> UnscannableCause:
    try:
        return UnscannableCause(word)
    except ValueError:
        return UnscannableCause.MALFORMED


def _unscannable(cause: UnscannableCause, detail: str) -> Footing:
    return Footing(state=ScanState.UNSCANNABLE, unscannable=cause, detail=detail)
