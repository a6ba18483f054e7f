# SPDX-License-Identifier: Apache-2.0
"""File → fingerprint, for files whose content cannot have changed unnoticed (design §5).

Kept only if all of this holds; otherwise the image is read again at the next launch:

* a regular file, on a mount whose identities are believed (`mounts`);
* identical identity before and after it was read;
* its ctime was at least 2 s old (10 s on a network file system) when reading began, so that a rewrite within one tick
  of the file system's clock cannot hide;
* nobody had it open for writing. A read lease held from beginning to end proves that, also for old shared mappings,
  whose later writes may leave size and times as they are. Where leases do not exist (most network file systems), what
  was learnt is believed for a short life only (`agent.unleased_life`): within it such a write is not seen.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from pathlib import Path

from sifgate.admission.ports import Footing
from sifgate.agent.identity import Identity, ReadLease, file_handle, identify
from sifgate.agent.mounts import Mounts, Trait

YOUNG_LOCAL_NS = 2_000_000_000
YOUNG_NETWORK_NS = 10_000_000_000
IMAGE_LIFE = 86_400.0
"""Seconds that the name of an image in root's storage is believed."""
LIMIT = 20_000
"""Files remembered; the least recently used go first."""

Key = tuple[object, ...]
Content = str | Footing
"""A fingerprint; or the state of a file that cannot be scanned, so that it is not tried at every launch."""


def boot_id() -> str:
    """Return the kernel's id of this boot: mount ids mean nothing across it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class Reading:
    """One reading of one file, from before to after; `settled` says whether its result may be kept."""

    def __init__(self, descriptor: int, mounts: Mounts) -> None:
        self.descriptor = descriptor
        self.before = identify(descriptor)
        self.trait: Trait = mounts.judge(descriptor, self.before)
        self.young = is_young(self.before, time.time_ns(), network=self.trait.network)
        keepable = self.before.regular and self.trait.believed and not self.young
        self.lease = ReadLease(descriptor) if keepable else None

    def close(self) -> tuple[bool, float]:
        """Return whether the content stood still, and how many seconds its identity may be believed (0: not at all).

        `float("inf")` where a lease proves that nobody could write; -1 stands for "the short life".
        """
        kept = self.lease.release() if self.lease else False
        still = identify(self.descriptor) == self.before
        if not still or self.lease is None or self.lease.writer:
            return still, 0.0
        return still, float("inf") if kept else -1.0


def is_young(identity: Identity, now_ns: int, *, network: bool) -> bool:
    """Return whether the file was changed so recently (or in the future) that a rewrite could have the same times."""
    return now_ns - identity.ctime_ns < (YOUNG_NETWORK_NS if network else YOUNG_LOCAL_NS)


class Memo:
    """The memory; used from the loop (`recall`) and from workers (`keep`)."""

    def __init__(self, mounts: Mounts, slim_version: int, unleased_life: float) -> None:
        self._mounts = mounts
        self._slim_version = slim_version
        self._unleased_life = unleased_life
        self._known: OrderedDict[Key, tuple[Content, float]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, descriptor: int, identity: Identity | None = None) -> Content | None:
        """Return what exactly this content is; None: unknown. Never waits for a file server.

        `identity` is the descriptor's, where the caller has just asked for it.
        """
        identity = identity or identify(descriptor)
        key = self.key_of(descriptor, identity)
        if key is None:
            return None
        held = self._known.get(key)
        if held is None:
            return None
        if time.time() > held[1]:
            self.forget(key)
            return None
        return held[0]

    def of_image(self, name: tuple[str, ...]) -> str | None:
        """Return the fingerprint of an image that root's own storage knows under this name; None: unknown."""
        held = self._known.get((*name, self._slim_version))
        return held[0] if held is not None and time.time() <= held[1] and isinstance(held[0], str) else None

    def keep_image(self, name: tuple[str, ...], fingerprint: str) -> None:
        """Remember what an image is that cannot change under its name, unless root himself goes into his storage."""
        self.restore((*name, self._slim_version), fingerprint, time.time() + IMAGE_LIFE)

    def span(self, life: float) -> float:
        """Return the seconds that something read may be believed, as `Reading.close` says; the short life for -1."""
        return self._unleased_life if life < 0 else life

    def keep(self, reading: Reading, content: Content, life: float) -> tuple[Key, float] | None:
        """Remember what was read; return key and end of life as kept (for the disk), None where nothing was."""
        if life == 0.0:
            return None
        key = self.key(reading.descriptor, reading.before, reading.trait)
        end = time.time() + self.span(life)
        self.restore(key, content, end)
        return key, end

    def restore(self, key: Key, content: Content, end: float) -> None:
        """Put one entry back, as it was kept."""
        with self._lock:
            self._known[key] = (content, end)
            self._known.move_to_end(key)
            while len(self._known) > LIMIT:
                self._known.popitem(last=False)

    def forget(self, key: Key) -> None:
        """Drop one entry."""
        with self._lock:
            self._known.pop(key, None)

    def key_of(self, descriptor: int, identity: Identity) -> Key | None:
        """Return the key under which a content may be remembered; None: it may not, or its mount is not judged yet."""
        trait = self._mounts.known(identity)
        if trait is None or not trait.believed or not identity.regular:
            return None
        return self.key(descriptor, identity, trait)

    def key(self, descriptor: int, identity: Identity, trait: Trait) -> Key:
        """Return the key of a content: by mount on local file systems, by source and file handle on network ones.

        The mount is the one that stands for the file system in the agent's own namespace, whichever the file came by.
        """
        times = (identity.size, identity.mtime_ns, identity.ctime_ns, self._slim_version)
        if trait.network:
            handle = file_handle(descriptor)
            if handle:
                return (trait.source, handle.hex(), *times)
        return (trait.mount or identity.mount, identity.device, identity.inode, *times)
