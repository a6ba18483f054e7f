# SPDX-License-Identifier: Apache-2.0
"""Which mounts' file times and inode numbers are believed: those that root made, of file systems on the list.

Whoever controls a file system can present any inode, size and time. So: never FUSE; the file system must be mounted in
the agent's own mount namespace (root's, where a user namespace cannot mount); not marked by the helpers that mount for
users; and not a loop device over a file that others can write.

Jobs have mount namespaces of their own, whose clones and binds come and go with mount ids of their own. What is judged
is therefore the file system, not the mount::

    descriptor ── st_dev ──► the mounts of that device in the agent's own namespace ── first ──► the mount in the key

Two live file systems never have one st_dev (the superblock's own number), and a clone or bind cannot tell another
inode, size or time than the file system does. The first such mount's id makes the key: it outlives the jobs, and is
another one after a remount.
"""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import msgspec

from sifgate import fsguard
from sifgate.agent.identity import Identity, file_system_magic, identify, mount_id
from sifgate.errors import UnsafeFile

FUSE = 0x65735546
MAGIC = {
    "ext4": 0xEF53,
    "xfs": 0x58465342,
    "btrfs": 0x9123683E,
    "f2fs": 0xF2F52010,
    "tmpfs": 0x01021994,
    "zfs": 0x2FC12FC1,
    "overlay": 0x794C7630,
    "squashfs": 0x73717368,
    "erofs": 0xE0F5E1E2,
    "nfs": 0x6969,
    "lustre": 0x0BD00BD0,
    "beegfs": 0x19830326,
    "gpfs": 0x47504653,
    "ceph": 0x00C36400,
}
"""Names that sifgate.yaml may use → f_type of statfs(2)."""
REUSABLE_LIFE = 10.0
"""Seconds that a judgement is kept where the kernel uses mount ids again (before Linux 6.8)."""
_USER_OPTIONS = re.compile(r"(?:^|,)(?:user(?:=|,|$)|users(?:,|$)|uhelper=|x-gvfs|user_id=)")


class Trait(msgspec.Struct, frozen=True):
    """How the files of one mount are known."""

    believed: bool
    network: bool = False
    source: str = ""
    """Of a network file system: what is mounted, as mountinfo names it."""
    mount: int = 0
    """Where believed: id of the mount in the agent's own namespace that stands for the file system."""
    why_not: str = ""


class Mount(msgspec.Struct, frozen=True):
    """One line of mountinfo (proc_pid_mountinfo(5))."""

    id: int
    device: int
    point: str
    kind: str
    source: str
    options: str


def parse_mountinfo(text: str) -> list[Mount]:
    """Return the mounts that a mountinfo file lists; a line that cannot be understood is left out."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, more = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(more) < 3:  # noqa: PLR2004 - the fixed fields on both sides of the dash
            continue
        major, _, minor = fields[2].partition(":")
        device = os.makedev(int(major), int(minor))
        options = ",".join((fields[5], more[2]))
        point, source = _unescape(fields[4]), _unescape(more[1])
        mounts.append(Mount(int(fields[0]), device, point, more[0], source, options))
    return mounts


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


class Mounts:
    """Judges mounts, and remembers what it judged."""

    def __init__(
        self,
        local: tuple[str, ...],
        network: tuple[str, ...],
        *,
        mountinfo: Path = Path("/proc/self/mountinfo"),
        utab: Path = Path("/run/mount/utab"),
    ) -> None:
        self._local = frozenset(MAGIC[name] for name in local if name in MAGIC) - {FUSE}
        self._network = frozenset(MAGIC[name] for name in network if name in MAGIC) - {FUSE}
        self._mountinfo = mountinfo
        self._utab = utab
        self._known: dict[tuple[int, int], tuple[Trait, float]] = {}
        self._lock = threading.Lock()

    def known(self, identity: Identity) -> Trait | None:
        """Return the judgement of the identity's mount if it is there already; never waits."""
        held = self._known.get((identity.mount, identity.device))
        if held is None or time.monotonic() > held[1]:
            return None
        return held[0]

    def judge(self, descriptor: int, identity: Identity) -> Trait:
        """Return the judgement of the identity's mount; may wait for a file server; not for the loop."""
        trait = self.known(identity)
        if trait is None:
            trait = self._judge(descriptor, identity)
            life = float("inf") if identity.unique else time.monotonic() + REUSABLE_LIFE
            with self._lock:
                if len(self._known) > 4096:  # noqa: PLR2004 - jobs come and go with mounts of their own
                    self._known.clear()
                self._known[identity.mount, identity.device] = (trait, life)
        return trait

    def _judge(self, descriptor: int, identity: Identity) -> Trait:
        try:
            magic = file_system_magic(descriptor)
            mounts = self._mounts_of(mount_id(descriptor), identity.device)
        except OSError as error:
            return Trait(believed=False, why_not=f"cannot be judged: {error}")
        if magic not in self._local | self._network:
            return Trait(believed=False, why_not=f"file system {magic:#x} is not on the list")
        if not mounts:
            return Trait(believed=False, why_not="not mounted in the agent's own namespace")
        for mount in mounts:
            why_not = self._made_for_a_user(mount) or _of_another_kind(mount, magic)
            if why_not:
                return Trait(believed=False, why_not=why_not)
        network = magic in self._network
        stands = 0 if network else _lasting_id(mounts, identity)
        return Trait(believed=True, network=network, source=mounts[0].source, mount=stands)

    def _mounts_of(self, identifier: int, device: int) -> list[Mount]:
        """Return the own namespace's mounts of a file system, in their order.

        Where st_dev is not the superblock's (a btrfs subvolume, some overlays), the mount itself, if it is there.
        """
        mounts = parse_mountinfo(self._mountinfo.read_text(encoding="utf-8", errors="surrogateescape"))
        same = [mount for mount in mounts if mount.device == device]
        return same or [mount for mount in mounts if mount.id == identifier]

    def _made_for_a_user(self, mount: Mount) -> str:
        if mount.kind.startswith("fuse"):
            return "FUSE"
        if _USER_OPTIONS.search(mount.options):
            return "mounted for a user"
        if self._in_utab(mount):
            return "mounted for a user by a helper"
        if mount.source.startswith("/dev/loop"):
            return _unsafe_loop(mount.source)
        return ""

    def _in_utab(self, mount: Mount) -> bool:
        try:
            lines = self._utab.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return any(
            f"SRC={mount.source} " in line and ("uhelper=" in line or "user=" in line) for line in lines
        )


def _of_another_kind(mount: Mount, magic: int) -> str:
    """Say so where the descriptor's file system is not what is mounted under its device number (old overlays)."""
    if MAGIC.get(mount.kind, magic) != magic:
        return f"file system {magic:#x} under the device number of {mount.kind}"
    return ""


def _lasting_id(mounts: list[Mount], identity: Identity) -> int:
    """Return the id of the first mount that is really met at its place; the descriptor's own where there is none."""
    for mount in mounts:
        try:
            place = os.open(mount.point, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            met = identify(place)
        finally:
            os.close(place)
        if met.device == identity.device:  # else another one is mounted over it
            return met.mount
    return identity.mount


def _unsafe_loop(source: str) -> str:
    backing = Path("/sys/block") / Path(source).name / "loop/backing_file"
    try:
        fsguard.check(Path(backing.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")))
    except OSError:
        return "loop device whose file is not known"
    except UnsafeFile as error:
        return f"loop device over a file that others can write: {error}"
    return ""
