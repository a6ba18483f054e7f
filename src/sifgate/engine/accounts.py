# SPDX-License-Identifier: Apache-2.0
"""Under whose uid each part runs: own system users as root, the caller otherwise."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import msgspec
import psutil

from sifgate.engine import reach
from sifgate.errors import EngineError

NAMES = {"db": "sifgate-db", "clair": "sifgate-clair", "server": "sifgate-server", "scan": "sifgate-scan"}
_DYNAMIC = range(61184, 65520)  # systemd's uids for transient services (UIDS-GIDS): never given to people


class Account(msgspec.Struct, frozen=True):
    """One uid with its gid and further groups."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Return what makes `subprocess` start a program as this account ({} when that is the caller)."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups), "umask": 0o077}

    def start(self, words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """Return command and arguments for `subprocess` to run one of our own programs as this account."""
        if os.geteuid() != self.uid and reach.blocked(reach.needed()):
            return reach.command(words, self.uid, self.gid, self.groups), {}
        return list(words), self.arguments()


class Accounts(msgspec.Struct, frozen=True):
    """The accounts of all parts; `made` names the system users that had to be created."""

    db: Account
    clair: Account
    server: Account
    scan: Account
    agent: Account
    made: tuple[str, ...] = ()

    @property
    def separate(self) -> bool:
        """Return whether the parts are kept apart by the kernel (only root can do that)."""
        return self.db.uid != self.agent.uid


def of_this_process() -> Accounts:
    """Return the accounts for an engine started by this process; as root, make the system users that are missing."""
    if os.geteuid() != 0:
        me = _myself()
        return Accounts(db=me, clair=me, server=me, scan=me, agent=me)
    made = tuple(name for name in NAMES.values() if _make(name))
    entries = {part: pwd.getpwnam(name) for part, name in NAMES.items()}
    clients = (entries["db"].pw_gid,)  # the group that may enter the directory of the database's socket
    plain = {part: Account(e.pw_name, e.pw_uid, e.pw_gid) for part, e in entries.items()}
    return Accounts(
        db=plain["db"],
        clair=msgspec.structs.replace(plain["clair"], groups=clients),
        server=msgspec.structs.replace(plain["server"], groups=clients),
        scan=plain["scan"],
        agent=Account("root", 0, 0),
        made=made,
    )


def builder() -> Account:
    """Return who compiles: as root a uid that no account and no process has, else the caller."""
    if os.geteuid() != 0:
        return _myself()
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {entry.gr_gid for entry in grp.getgrall()}
    for process in psutil.process_iter():
        try:
            taken |= set(process.uids()) | set(process.gids())
        except psutil.Error:
            continue
    uid = next(number for number in _DYNAMIC if number not in taken)
    return Account("builder", uid, uid)


def _myself() -> Account:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise EngineError(
            f"uid {uid} has no name in the user database, which PostgreSQL's peer authentication needs",
            hint="add an entry to /etc/passwd, or run as another user",
        ) from error
    return Account(name, uid, os.getegid(), tuple(os.getgroups()))


def _make(name: str) -> bool:
    """Create one system user without login, home or password; return whether it was missing."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        pass
    else:
        return False
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    hint = f"create it: useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {name}"
    if not useradd:
        raise EngineError(f"system user {name} is missing, and so is useradd", hint=hint)
    command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
               "--shell", "/usr/sbin/nologin", name]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        pwd.getpwnam(name)
    except KeyError as error:
        raise EngineError(f"system user {name} cannot be made: {answer.stderr.strip()}", hint=hint) from error
    return True
