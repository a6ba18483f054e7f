# SPDX-License-Identifier: Apache-2.0
"""Who asks: uid, gid and pid from the kernel, names from the system's databases, the job from the cgroup.

Facts in a message count only from a peer with uid 0. Of any other peer the uid is the kernel's, and the job is that of
the cgroup that slurmstepd, not the user, has put it into.
"""

from __future__ import annotations

import _socket
import grp
import os
import pwd
import re
import struct
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from sifgate.agent.process import read_proc
from sifgate.agent.turns import Promise
from sifgate.model.launch import JobFacts

NAMES_LIFE = 300.0
"""Seconds after which a user's names and groups are looked up again, behind the launch's back."""
NAMES_LIMIT = 10_000
_SO_PEERCRED = 17
_CREDENTIALS = struct.Struct("=iII")
_SLURM = "slurm"
_CGROUP = re.compile(
    r"^\d+:[^:]*:"
    r"(?:/system\.slice/(?:[^/\n]+_)?slurmstepd\.scope|/slurm(?:_[^/\n]+)?/uid_\d+)"
    r"/job_(?P<job>\d{1,10})(?:/step_(?P<step>\d{1,10}))?(?:/|$)",
    re.MULTILINE,
)


class Peer(NamedTuple):
    """The process at the other end, as it was when it connected."""

    pid: int
    uid: int
    gid: int


class Names(NamedTuple):
    """What a uid is called here."""

    user: str
    groups: tuple[str, ...]


def peer_of(connection: _socket.socket) -> Peer:
    """Return the kernel's word on who connected."""
    return Peer(*_CREDENTIALS.unpack(connection.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12)))


def job_of(pid: int, proc: str = "/proc") -> JobFacts:
    """Return the Slurm job whose cgroup a process is in; no facts outside one."""
    text = read_proc(f"{proc}/{pid}/cgroup").decode("utf-8", "replace")
    found = _CGROUP.search(text) if _SLURM in text else None
    if found is None:
        return JobFacts()
    return JobFacts(job_id=int(found["job"]), step_id=int(found["step"]) if found["step"] else -1)


def look_up(uid: int) -> Names:
    """Return a user's name and groups; may wait for a directory service. A uid without name has none of either."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Names("", ())
    return Names(
        entry.pw_name, tuple(sorted(filter(None, map(_group, os.getgrouplist(entry.pw_name, entry.pw_gid)))))
    )


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


class NameCache:
    """Names by uid; the loop never waits for a directory service."""

    def __init__(
        self, offload: Callable[[Callable[[], Names]], Promise[Names]], look: Callable[[int], Names] = look_up
    ) -> None:
        self._offload = offload
        self._look = look
        self._known: OrderedDict[int, tuple[Names, float]] = OrderedDict()
        self._asked: dict[int, Promise[Names]] = {}
        self._waiting: dict[int, list[Promise[Names]]] = {}

    def of(self, uid: int) -> Promise[Names]:
        """Return a promise of the names; kept already where they are known, however old (then renewed)."""
        held = self._known.get(uid)
        if held is not None:
            if time.monotonic() > held[1]:
                self._renew(uid)
            return Promise.kept(held[0])
        promise: Promise[Names] = Promise()
        self._waiting.setdefault(uid, []).append(promise)
        self._renew(uid)
        return promise

    def fresh(self, uid: int) -> Promise[Names]:
        """Return a promise of names that were looked up at most `NAMES_LIFE` ago: for rights, not for records."""
        if self.at_once(uid) is None:
            self._known.pop(uid, None)
        return self.of(uid)

    def at_once(self, uid: int) -> Names | None:
        """Return the names if they are known and fresh."""
        held = self._known.get(uid)
        return held[0] if held is not None and time.monotonic() <= held[1] else None

    def _renew(self, uid: int) -> None:
        if uid in self._asked:
            return
        promise = self._offload(lambda: self._look(uid))
        self._asked[uid] = promise

        def over() -> None:
            del self._asked[uid]
            try:
                names = promise.result()
            except Exception:  # noqa: BLE001 - a directory service of the site fails in its own ways
                names = Names("", ())
            self._known[uid] = (names, time.monotonic() + NAMES_LIFE)
            self._known.move_to_end(uid)
            while len(self._known) > NAMES_LIMIT:
                self._known.popitem(last=False)
            waiting: list[Any] = self._waiting.pop(uid, [])
            for waiter in waiting:
                waiter.keep(names)

        promise.waiter = over
