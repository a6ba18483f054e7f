# SPDX-License-Identifier: Apache-2.0
"""One launch, one decision; one job and image, one warning (docs/protocol.md §1).

The wrapper, the Apptainer plugin and the guard meet the same process with the same image. What the first door was told
is kept for a minute, and the next door is told the same, without a second record. A door that root asks through takes
nothing over from one that the user asked through (docs/decisions/doors.md): it judges anew, and only if that comes to
the same action is it the same launch.

A launch is kept under its pid alone, so that the hot path reads nothing of /proc. Only where a pid is met again is it
looked at whether its process had started by then: that tells it from another one that got the number since.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from sifgate.admission.ports import Told
from sifgate.agent.identity import Identity
from sifgate.agent.process import TICKS, lineage
from sifgate.agent.session import Session
from sifgate.agent.shares import PendingPasses
from sifgate.model.launch import Door, LaunchEvent
from sifgate.model.verdict import ScanState

LIFE = 60.0
"""Seconds that an answer is kept."""
LIMIT = 4096
"""Launches kept; the oldest go first."""
SHOWN_LIMIT = 16_384
"""Warnings remembered as shown."""
_MEETS_TWICE = frozenset({Door.APPTAINER_PLUGIN, Door.GUARD})
"""Doors that meet one launch more than once: two callbacks, several files."""
_GENERATIONS = {Door.OCI_HOOK: 2, Door.ENROOT_HOOK: 2, Door.APPTAINER_PLUGIN: 1, Door.GUARD: 1}
"""Ancestors that a launch may have been asked for, at doors whose shim or opener is a child of the process."""

Key = tuple[Hashable, ...]


class _Kept(NamedTuple):
    told: Told
    uid: int
    trusted: bool
    injected: bool
    """Whether content over the image's was part of the question: an answer without it is none to a launch with it."""
    doors: frozenset[Door]
    at: float
    """Seconds after boot."""


class Once:
    """What launches of the last minute were told; used from the loop only."""

    def __init__(self, clock: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)) -> None:
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, pid: int, image: Key, launch: LaunchEvent) -> tuple[Key, _Kept] | None:
        """Return what the process, or one that it acts for, was told of the image at another door, and its place."""
        generations = _GENERATIONS.get(launch.door, 0)
        if not generations and not self._fits(self._kept.get((pid, image)), launch):
            return None
        for process in lineage(pid, generations):
            key = (process.pid, image)
            kept = self._kept.get(key)
            if kept is not None and self._fits(kept, launch) and process.started <= kept.at * TICKS + 1:
                return key, kept
        return None

    def _fits(self, kept: _Kept | None, launch: LaunchEvent) -> bool:
        """Return whether an answer may be that of this launch, if its process is the same."""
        if kept is None or (launch.door in kept.doors and launch.door not in _MEETS_TWICE):
            return False
        if launch.content_injected and not kept.injected:
            return False
        return kept.uid == launch.requester.uid and self._clock() <= kept.at + LIFE

    def keep(self, pid: int, image: Key, launch: LaunchEvent, told: Told) -> None:
        """Keep what a launch was told: a new one, whatever was kept of this process and image before."""
        requester = launch.requester
        self._put(
            (pid, image),
            _Kept(
                told,
                requester.uid,
                requester.trusted,
                bool(launch.content_injected),
                frozenset({launch.door}),
                self._clock(),
            ),
        )

    def join(self, key: Key, kept: _Kept, launch: LaunchEvent) -> None:
        """Note that one more door saw the launch."""
        trusted = kept.trusted or launch.requester.trusted
        self._put(key, kept._replace(doors=kept.doors | {launch.door}, trusted=trusted))

    def forget(self) -> None:
        """Drop all: what was told could not be recorded."""
        self._kept.clear()

    def _put(self, key: Key, kept: _Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > LIMIT:
            self._kept.popitem(last=False)


class Meeting:
    """The port `Past` of one conversation, and the passes that it may use."""

    def __init__(self, once: Once, pid: int, session: Session, passes: PendingPasses) -> None:
        self._once = once
        self._pid = pid
        self._session = session
        self._passes = passes
        self._pending = False
        self._looked = False
        self._found: tuple[Key, _Kept] | None = None

    def told(self, launch: LaunchEvent) -> Told | None:
        """See `Past.told`."""
        self._pending = False
        self._found = found = self._find(launch)
        self._looked = True
        if found is None:
            return None
        key, kept = found
        if launch.requester.trusted and not kept.trusted:
            self._pending = kept.told.footing.state is ScanState.PENDING
            return None
        self._once.join(key, kept, launch)
        return kept.told

    def take(self, uid: int, path: str) -> bool:
        """See `Passes.take`: one launch uses one pass, however many doors it meets."""
        return self._pending or self._passes.take(uid, path)

    def settle(self, launch: LaunchEvent, told: Told) -> Told:
        """Keep what a launch is told; return what it was told before where that is the same launch and action."""
        found = self._found if self._looked else self._find(launch)
        self._looked = False
        if found is not None and found[1].told.decision.action is told.decision.action:
            self._once.join(*found, launch)
            return found[1].told
        self._once.keep(self._pid, _image(launch, self._session.identity), launch, told)
        return told

    def _find(self, launch: LaunchEvent) -> tuple[Key, _Kept] | None:
        return self._once.find(self._pid, _image(launch, self._session.identity), launch)


def _image(launch: LaunchEvent, identity: Identity | None) -> Key:
    """Return the image's identity without the mount, which is another one in each namespace; else what it is called."""
    if identity is None:
        return (launch.reference.kind, launch.reference.text)
    return (identity.device, identity.inode, identity.size, identity.mtime_ns, identity.ctime_ns)


class Shown:
    """Warnings that were printed, by user, job (or session) and image; used from the loop only."""

    def __init__(self) -> None:
        self._shown: OrderedDict[Key, None] = OrderedDict()

    def again(self, key: Key) -> bool:
        """Return whether this warning was shown before; notes that it is now."""
        before = key in self._shown
        self._shown[key] = None
        self._shown.move_to_end(key)
        if len(self._shown) > SHOWN_LIMIT:
            self._shown.popitem(last=False)
        return before
