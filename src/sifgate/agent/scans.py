# SPDX-License-Identifier: Apache-2.0
"""What the node knows of images, and how it finds out: one scan per image however many ask.

::

    recall     memo: file → fingerprint     cache: fingerprint → verdict        (in the loop, no waiting)
    find_out   worker: image → slim layer → fingerprint     server: verdict, else upload and wait    (in threads)

A scan goes on when the launches that asked for it have given up waiting; a verdict that would have refused one of
them is then told to `late`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from functools import partial
from typing import Protocol

import msgspec

from sifgate.admission.ports import Footing
from sifgate.agent.cache import Cache, Known
from sifgate.agent.identity import Identity, identify
from sifgate.agent.inspect import Inspection, Inspector
from sifgate.agent.judge import Verdicts
from sifgate.agent.loop import Loop
from sifgate.agent.memo import Memo, is_young
from sifgate.agent.remote import WAIT_LIMIT, Fetched, Missing, Rejected, Remote, Scanning, Unchanged
from sifgate.agent.shares import FairShares
from sifgate.agent.turns import Promise
from sifgate.errors import ClairUnavailable, ServerUnreachable
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import FailureCause, ScanState, UnscannableCause

SCAN_LIMIT = 1800.0
"""Seconds after which a scan that the server does not finish is given up by this node."""
_UPLOADS = 2
"""Uploads of one layer in one scan: the server may have dropped it in between, but not for ever."""


class Late(Protocol):
    """Told of a verdict that came after a launch had passed as pending."""

    def __call__(self, footing: Footing, launch: LaunchEvent, record: str) -> None:
        """`record` is the id of the launch's audit record."""


class Scan:
    """One image being read and asked about."""

    def __init__(self, descriptor: int, key: object, launch: LaunchEvent) -> None:
        self.descriptor = os.dup(descriptor)
        self.key = key
        self.launch = launch
        self.started = False
        self.done: Footing | None = None
        self.waiters: list[Promise[Footing]] = []
        self.passed: list[tuple[LaunchEvent, str]] = []
        """Launches that went on without the answer, and their records."""


class Scans:
    """Implements the port `Images` of a review. Methods are called from the loop; `_work` and below run in threads."""

    def __init__(
        self,
        loop: Loop,
        memo: Memo,
        cache: Cache,
        verdicts: Verdicts,
        *,
        remote: Remote,
        inspector: Inspector,
        shares: FairShares,
        refresh_after: float,
        stale_after: float,
    ) -> None:
        self._loop = loop
        self.memo = memo
        self.cache = cache
        self._verdicts = verdicts
        self.remote = remote
        self._inspector = inspector
        self._shares = shares
        self._refresh_after = refresh_after
        self._stale_after = stale_after
        self._running: dict[object, Scan] = {}
        self._waiting: dict[int, deque[Scan]] = {}
        self._active: dict[int, int] = {}
        self._pending: dict[int, tuple[LaunchEvent, Scan]] = {}
        self._refreshing: set[str] = set()
        self._asking: dict[str, threading.Lock] = {}
        self._asking_lock = threading.Lock()
        self.late: Late = _tell_nobody
        self.stopping = threading.Event()
        self.finished = 0

    def recall(self, descriptor: int, identity: Identity | None = None) -> Footing | None:
        """See `Images.recall`: no waiting, one statx at most."""
        known = self.memo.recall(descriptor, identity)
        if isinstance(known, Footing):
            return known
        return None if known is None else self._current(known)

    def recall_image(self, name: tuple[str, ...]) -> Footing | None:
        """Return what is known of an image by its name in root's storage."""
        known = self.memo.of_image(name)
        return None if known is None else self._current(known)

    def find_out(self, descriptor: int, launch: LaunchEvent, patience: float) -> Promise[Footing]:
        """See `Images.find_out`."""
        promise: Promise[Footing] = Promise()
        scan = self._join(descriptor) or self._begin(descriptor, launch)
        scan.waiters.append(promise)
        self._loop.later(patience, lambda: self._give_up(promise, launch, scan))
        return promise

    def passed(self, asked: LaunchEvent, record: str, launch: LaunchEvent) -> None:
        """Note that a launch went on as pending under this record, if its scan still runs.

        `asked` is the launch that `find_out` was given, `launch` the same with what was learnt since.
        """
        found = self._pending.pop(id(asked), None)
        if found is None or not record:
            return
        scan = found[1]
        if scan.done is not None:
            self._tell_late(scan.done, [(launch, record)])
        else:
            scan.passed.append((launch, record))

    @property
    def in_flight(self) -> int:
        """Scans that run or wait for their turn."""
        return sum(self._active.values()) + sum(len(queue) for queue in self._waiting.values())

    def _current(self, fingerprint: str) -> Footing | None:
        known = self.cache.recall(fingerprint)
        if known is None:
            return None
        age = time.time() - known.checked
        if age > self._refresh_after:
            self._refresh(known)
        return self._aged(known, age)

    def _aged(self, known: Known, age: float) -> Footing:
        if age > self._stale_after and known.footing.state is ScanState.KNOWN:
            days = int(age // 86_400)
            detail = f"the server has not confirmed this verdict for {days} days"
            return msgspec.structs.replace(known.footing, state=ScanState.STALE, detail=detail)
        return known.footing

    def _refresh(self, known: Known) -> None:
        """Ask the server behind the launch's back whether it knows better by now."""
        fingerprint = known.footing.fingerprint
        if fingerprint in self._refreshing:
            return
        self._refreshing.add(fingerprint)

        def work() -> None:
            try:
                found = self.remote.verdict(fingerprint, have=known.footing.digest)
            except (ServerUnreachable, ClairUnavailable):
                return
            if isinstance(found, Fetched):
                self._store(found)
            elif isinstance(found, Unchanged):
                self.cache.confirm(fingerprint)

        def over() -> None:
            self._loop.later(min(60.0, self._refresh_after), lambda: self._refreshing.discard(fingerprint))

        self._loop.offload(work).waiter = over

    def _join(self, descriptor: int) -> Scan | None:
        """Return the scan that reads exactly this content, or will; a young file may change under one that runs."""
        identity = identify(descriptor)
        scan = self._running.get(identity)
        if scan is None:
            return None
        if scan.started and (not identity.regular or is_young(identity, time.time_ns(), network=False)):
            return None
        return scan

    def _begin(self, descriptor: int, launch: LaunchEvent) -> Scan:
        uid = launch.requester.uid
        scan = Scan(descriptor, identify(descriptor), launch)
        self._running[scan.key] = scan
        self._waiting.setdefault(uid, deque()).append(scan)
        self._start_next(uid)
        return scan

    def _start_next(self, uid: int) -> None:
        queue = self._waiting.get(uid)
        limit = self._shares.limits.cold_scans if uid else self._inspector.workers
        while queue and self._active.get(uid, 0) < limit:
            scan = queue.popleft()
            scan.started = True
            self._active[uid] = self._active.get(uid, 0) + 1
            promise = self._loop.offload(partial(self._work, scan))
            promise.waiter = partial(self._finish, scan, promise)
        if queue is not None and not queue:
            del self._waiting[uid]

    def _finish(self, scan: Scan, promise: Promise[Footing]) -> None:
        os.close(scan.descriptor)
        if self._running.get(scan.key) is scan:
            del self._running[scan.key]
        uid = scan.launch.requester.uid
        self._active[uid] -= 1
        if not self._active[uid]:
            del self._active[uid]
        self._start_next(uid)
        self.finished += 1
        try:
            scan.done = promise.result()
        except Exception as error:  # noqa: BLE001 - a defect of ours: the image stays unknown, the launch goes on
            scan.done = Footing(state=ScanState.FAILED, detail=f"the agent failed on this image: {error}")
        for waiter in scan.waiters:
            waiter.keep(scan.done)
        self._tell_late(scan.done, scan.passed)

    def _give_up(self, promise: Promise[Footing], launch: LaunchEvent, scan: Scan) -> None:
        if promise.done:
            return
        self._pending[id(launch)] = (launch, scan)
        promise.keep(Footing(state=ScanState.PENDING, detail="the image is still being scanned"))

    def _tell_late(self, footing: Footing, passed: list[tuple[LaunchEvent, str]]) -> None:
        for launch, record in passed:
            self.late(footing, launch, record)

    def _work(self, scan: Scan) -> Footing:
        """Find out, in a thread."""
        self._inspector.look(scan.descriptor)  # judges the mount, so that the memo may speak
        known = self.memo.recall(scan.descriptor)
        if isinstance(known, Footing):
            return known
        if known is not None:
            footing = self._from_server(known, None, scan)
            if footing is not None:
                return footing
        uid = scan.launch.requester.uid
        regular = identify(scan.descriptor).regular
        if regular and not self._shares.new_images.take(uid):
            return Footing(state=ScanState.PENDING, detail=_OVER_SHARE)
        with self._inspector.inspect(scan.descriptor) as inspection:
            if inspection.footing is not None:
                return inspection.footing
            fingerprint = inspection.extraction.fingerprint
            # A directory is read at each launch, so only what it holds tells whether the node has seen it before.
            if (
                not regular
                and self.cache.recall(fingerprint) is None
                and not self._shares.new_images.take(uid)
            ):
                return Footing(state=ScanState.PENDING, detail=_OVER_SHARE, fingerprint=fingerprint)
            return self._from_server(fingerprint, inspection, scan) or _UNREADABLE

    def _from_server(self, fingerprint: str, inspection: Inspection | None, scan: Scan) -> Footing | None:
        """Return the cached or the server's answer; None: the layer is wanted and there is no inspection yet."""
        with self._lock_of(fingerprint):
            known = self.cache.recall(fingerprint)
            if known is not None:
                return self._aged(known, time.time() - known.checked)
            try:
                return self._ask_server(fingerprint, inspection, scan)
            except ServerUnreachable as error:
                return _cause(FailureCause.SERVER_UNREACHABLE, error, fingerprint)
            except ClairUnavailable as error:
                return _cause(FailureCause.CLAIR_UNAVAILABLE, error, fingerprint)

    def _ask_server(self, fingerprint: str, inspection: Inspection | None, scan: Scan) -> Footing | None:
        end = time.monotonic() + SCAN_LIMIT
        uploads = 0
        while not self.stopping.is_set() and time.monotonic() < end:
            found = self.remote.verdict(fingerprint, wait=WAIT_LIMIT)
            match found:
                case Fetched():
                    return self._store(found).footing
                case Missing():
                    if inspection is None:
                        return None
                    uploads += 1
                    refusal = self._upload(inspection, scan, uploads)
                    if refusal is not None:
                        return refusal
                case Scanning() | Unchanged():
                    pass
        return Footing(state=ScanState.PENDING, detail="the server has not finished", fingerprint=fingerprint)

    def _upload(self, inspection: Inspection, scan: Scan, uploads: int) -> Footing | None:
        extraction = inspection.extraction
        if uploads > _UPLOADS:
            raise ServerUnreachable("the server forgets the layer that it accepted")
        if not self._shares.upload_bytes.take(scan.launch.requester.uid, extraction.layer_size):
            return Footing(state=ScanState.PENDING, detail=_OVER_SHARE, fingerprint=extraction.fingerprint)
        rejected = self.remote.upload(extraction, inspection.layer)
        return None if rejected is None else _rejected(rejected, extraction.fingerprint)

    def _store(self, found: Fetched) -> Known:
        self._verdicts.put(found.digest, found.verdict)
        return self.cache.store(found.body, found.verdict, found.digest)

    def _lock_of(self, fingerprint: str) -> threading.Lock:
        with self._asking_lock:
            if len(self._asking) > 4096:  # noqa: PLR2004 - locks nobody holds any more
                self._asking = {name: lock for name, lock in self._asking.items() if lock.locked()}
            return self._asking.setdefault(fingerprint, threading.Lock())


def _tell_nobody(footing: Footing, launch: LaunchEvent, record: str) -> None:
    """Stand in until somebody wants to be told."""
    del footing, launch, record


_OVER_SHARE = "this user's share of new images is used up for now"
_UNREADABLE = Footing(state=ScanState.PENDING, detail="the server wants the layer again")


def _cause(cause: FailureCause, error: Exception, fingerprint: str) -> Footing:
    return Footing(cause=cause, detail=str(error), fingerprint=fingerprint)


def _rejected(rejected: Rejected, fingerprint: str) -> Footing:
    cause = (
        UnscannableCause.BOUNDS
        if rejected.code in ("layer_too_large", "too_large")
        else UnscannableCause.MALFORMED
    )
    return Footing(
        state=ScanState.UNSCANNABLE,
        unscannable=cause,
        detail=f"the server refuses the layer: {rejected.message}",
        fingerprint=fingerprint,
    )
