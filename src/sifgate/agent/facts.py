# SPDX-License-Identifier: Apache-2.0
"""Facts of image files: owner, time of building, digest, signers; each read only where the policy reads it.

::

    owner                       from the statx of the descriptor; its name from the names' memory
    created, digest, signers    by a sandboxed worker, remembered under the file's identity as fingerprints are (`memo`)

Nothing is known of a file on a mount that is not believed (`mounts`): a user's FUSE tells any owner, and shows the
agent other bytes than the runtime. A launch waits for facts no longer than for its scan; what is not there by then is
unknown to the policy, and found out for the next launch. One reading per file however many ask, so many per user.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable
from functools import partial
from typing import NamedTuple

from sifgate.agent.holder import KeyRing, PolicyHolder
from sifgate.agent.identity import Identity, identify
from sifgate.agent.inspect import Inspector
from sifgate.agent.loop import Loop
from sifgate.agent.memo import Memo, is_young
from sifgate.agent.peer import NameCache, Names
from sifgate.agent.turns import Promise
from sifgate.errors import Unscannable
from sifgate.image.facts import FileFacts
from sifgate.model.image import ImageFacts

LIMIT = 20_000
"""Files remembered; the least recently used go first."""
_TRIES = 2
_NOTHING = FileFacts()
_NOBODY_KNOWS = ImageFacts()
OWNER = "owner"

Key = tuple[object, ...]


class _Ask(NamedTuple):
    """What one launch wants to know of one file."""

    descriptor: int
    identity: Identity
    uid: int
    wanted: frozenset[str]


class _Reading:
    """One file being read."""

    def __init__(self, ask: _Ask, key: Key, ring: KeyRing) -> None:
        self.descriptor = os.dup(ask.descriptor)
        self.key = key
        self.uid = ask.uid
        self.wanted = ask.wanted
        self.ring = ring
        self.waiters: list[Promise[FileFacts | None]] = []


class Facts:
    """What is known of image files beside their packages; used from the loop, `_work` and below in threads."""

    def __init__(
        self,
        loop: Loop,
        holder: PolicyHolder,
        memo: Memo,
        inspector: Inspector,
        names: NameCache,
        *,
        per_user: int,
    ) -> None:
        self._loop = loop
        self._holder = holder
        self._memo = memo
        self._inspector = inspector
        self._names = names
        self._per_user = per_user
        self._known: OrderedDict[Key, tuple[FileFacts, float]] = OrderedDict()
        self._running: dict[Key, _Reading] = {}
        self._waiting: dict[int, deque[_Reading]] = {}
        self._active: dict[int, int] = {}
        self.readings = 0
        """Files read since start."""

    def of(
        self, descriptor: int, identity: Identity | None, uid: int, patience: float
    ) -> Awaitable[ImageFacts] | None:
        """Return a promise of the facts that the policy reads; None where it reads none. Begins at once."""
        wanted = self._holder.image_fields
        if not wanted:
            return None
        identity = identity or identify(descriptor)
        trait = self._inspector.trait(identity)
        if trait is not None and not trait.believed:
            return Promise.kept(_NOBODY_KNOWS)
        known = None
        if trait is not None:
            known = self._recall(descriptor, identity, wanted - {OWNER}, self._holder.ring)
        if known is None:
            file = self._of_file(_Ask(descriptor, identity, uid, wanted - {OWNER}))
            otherwise = None if trait is None else _NOTHING
            self._loop.later(patience, lambda: file.keep(otherwise))
        else:
            file = Promise.kept(known)
        names = self._names.of(identity.owner) if OWNER in wanted else None
        if file.done and (names is None or names.done):
            return Promise.kept(_joined(identity, file.result(), names))
        if names is not None:  # a directory service that does not answer leaves the number
            self._loop.later(patience, partial(names.keep, Names("", ())))
        return _later(identity, file, names)

    def _of_file(self, ask: _Ask) -> Promise[FileFacts | None]:
        """Return a promise of what a thread finds out."""
        ring = self._holder.ring
        promise: Promise[FileFacts | None] = Promise()
        key = (ask.identity, ask.wanted, ring.digest)
        reading = self._running.get(key)
        if reading is None or is_young(ask.identity, time.time_ns(), network=False):  # it may change unseen
            reading = self._running[key] = _Reading(ask, key, ring)
            self._waiting.setdefault(ask.uid, deque()).append(reading)
            self._start_next(ask.uid)
        reading.waiters.append(promise)
        return promise

    def _start_next(self, uid: int) -> None:
        queue = self._waiting.get(uid)
        limit = self._per_user if uid else self._inspector.workers
        while queue and self._active.get(uid, 0) < limit:
            reading = queue.popleft()
            self._active[uid] = self._active.get(uid, 0) + 1
            promise = self._loop.offload(partial(self._work, reading))
            promise.waiter = partial(self._finish, reading, promise)
        if queue is not None and not queue:
            del self._waiting[uid]

    def _finish(self, reading: _Reading, promise: Promise[FileFacts | None]) -> None:
        os.close(reading.descriptor)
        if self._running.get(reading.key) is reading:
            del self._running[reading.key]
        self._active[reading.uid] -= 1
        if not self._active[reading.uid]:
            del self._active[reading.uid]
        self._start_next(reading.uid)
        try:
            found = promise.result()
        except Exception:  # noqa: BLE001 - a defect of ours: the facts stay unknown, the launch goes on
            found = None
        for waiter in reading.waiters:
            waiter.keep(found)

    def _work(self, reading: _Reading) -> FileFacts | None:
        """Read one file, in a thread; None where its mount is not believed, no facts where it changes meanwhile."""
        identity = identify(reading.descriptor)
        self._inspector.look(reading.descriptor)
        trait = self._inspector.trait(identity)
        if trait is None or not trait.believed:
            return None
        known = self._recall(reading.descriptor, identity, reading.wanted, reading.ring)
        if known is not None:
            return known
        for _ in range(_TRIES):
            try:
                found, key, life = self._inspector.facts(
                    reading.descriptor, tuple(sorted(reading.wanted)), reading.ring.data
                )
            except Unscannable:
                return _NOTHING
            self.readings += 1
            if found is not None:
                self._keep(key, reading, found, life)
                return found
        return _NOTHING

    def _recall(
        self, descriptor: int, identity: Identity, wanted: frozenset[str], ring: KeyRing
    ) -> FileFacts | None:
        """Return what is known of a file on a mount that is believed; None: it must be read."""
        if not wanted:
            return _NOTHING
        if not identity.regular:
            return FileFacts(signers=() if "signers" in wanted else None)
        key = self._memo.key_of(descriptor, identity)
        held = self._known.get((key, wanted, ring.digest)) if key is not None else None
        if held is None or time.time() > held[1]:
            return None
        return held[0]

    def _keep(self, key: Key | None, reading: _Reading, found: FileFacts, life: float) -> None:
        """Remember what was read, no longer than the first of its signers' keys is valid."""
        if key is None:
            return
        ends = [signer.until for signer in found.signers or () if signer.until]
        self._known[key, reading.wanted, reading.ring.digest] = (found, min([time.time() + life, *ends]))
        while len(self._known) > LIMIT:
            self._known.popitem(last=False)


async def _later(
    identity: Identity, file: Promise[FileFacts | None], names: Promise[Names] | None
) -> ImageFacts:
    found = await file
    if names is not None:
        await names
    return _joined(identity, found, names)


def _joined(identity: Identity, file: FileFacts | None, names: Promise[Names] | None) -> ImageFacts:
    """Return the facts as the policy reads them; an owner without a name is known by his number."""
    if file is None:
        return _NOBODY_KNOWS
    signers = None if file.signers is None else tuple(signer.fingerprint for signer in file.signers)
    owner = "" if names is None else names.result().user or str(identity.owner)
    return ImageFacts(owner=owner, created=file.created, digest=file.digest, signers=signers)
