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
from sifgate.agent.identity import Identity, identify
from sifgate.agent.memo import Key, Memo, Reading
from sifgate.agent.mounts import Mounts, Trait
from sifgate.errors import Unscannable
from sifgate.image.facts import FileFacts
from sifgate.image.worker import extract, read_facts
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
        self._uid = uid
        self._turns = threading.Semaphore(workers)
        self.extractions = 0

    def look(self, descriptor: int) -> None:
        """Judge the mount of a descriptor; may wait for a file server."""
        with contextlib.suppress(OSError):
            self._mounts.judge(descriptor, identify(descriptor))

    def trait(self, identity: Identity) -> Trait | None:
        """Return how the files of a mount are known; None: it was not judged yet. Never waits."""
        return self._mounts.known(identity)

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

    def facts(
        self, descriptor: int, wanted: tuple[str, ...], ring: bytes
    ) -> tuple[FileFacts | None, Key | None, float]:
        """Return facts of a regular file, the key to remember them under (None: not at all), and for how many seconds.

        No facts where the file changed meanwhile. Raises `Unscannable`, OSError.
        """
        own = self._opened_anew(descriptor)
        try:
            with self._turns:
                reading = Reading(own, self._mounts)
                found = read_facts(own, wanted, ring=ring, uid=self._uid)
                still, life = reading.close()
            if not still:
                return None, None, 0.0
            key = self._memo.key(own, reading.before, reading.trait) if life else None
            return found, key, self._memo.span(life)
        finally:
            os.close(own)

    def _opened_anew(self, descriptor: int) -> int:
        """Return the file opened once more, since leases belong to one open(): a scan may read it at the same time.

        Only where its file system is a local one that is believed: an open() elsewhere may wait, or mean another user.
        """
        trait = self._mounts.known(identify(descriptor))
        if trait is not None and trait.believed and not trait.network:
            with contextlib.suppress(OSError):
                return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        return os.dup(descriptor)

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
