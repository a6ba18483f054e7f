# SPDX-License-Identifier: Apache-2.0
"""The node's own files: who could have written them, the room that is left for them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from sifgate import fsguard
from sifgate.config import Places
from sifgate.doctor.finding import Finding, fine, problem, roots
from sifgate.errors import UnsafeFile

SHARED = 0o666
"""Mode of the agent's socket: everybody may ask, the kernel says who does."""
LITTLE = 256 << 20
"""Free bytes under which a log or cache is about to fail."""
MEBIBYTE = 1 << 20


def permissions(places: Places) -> Iterator[Finding]:
    """Yield whether others than root (or the user whose agent it is) could change settings, sockets, cache, log."""
    for name in ("etc", "run", "state", "log"):
        path: Path = getattr(places, name)
        if not path.exists():
            yield problem(f"{name} directory", f"{path}: does not exist", f"install -d -m 0755 {path}")
            continue
        for each in (path, *sorted(path.glob("*.yaml")), path / "posture", path / "node.token"):
            if each == path or os.path.lexists(each):
                yield from _safe(f"{name} directory", each)


def _safe(subject: str, path: Path) -> Iterator[Finding]:
    try:
        fsguard.check(path, owner_uid=os.geteuid())
    except UnsafeFile as error:
        if "cannot be looked at" in str(error):
            yield roots(subject)
        else:
            yield problem(subject, str(error), error.hint)
        return
    if path.is_dir():
        yield fine(subject, f"{path}: only its owner can change it")


def socket(places: Places) -> Iterator[Finding]:
    """Yield whether the agent's socket is one, belongs to root and lets everybody ask."""
    path = places.run / "agent.sock"
    try:
        facts = path.stat()
    except FileNotFoundError:
        yield problem("socket", f"{path}: is not there", "systemctl start sifgate-agent (or `sifgate up`)")
        return
    mode = stat.S_IMODE(facts.st_mode)
    if not stat.S_ISSOCK(facts.st_mode):
        yield problem("socket", f"{path}: is no socket", f"rm {path}; systemctl restart sifgate-agent")
    elif facts.st_uid not in (0, os.geteuid()):
        yield problem(
            "socket",
            f"{path}: owned by uid {facts.st_uid}: shims of users do not believe it",
            f"rm {path}; systemctl restart sifgate-agent",
        )
    elif mode & SHARED != SHARED:
        yield problem("socket", f"{path}: mode {mode:04o}: users cannot ask", f"chmod 0666 {path}")
    else:
        yield fine("socket", f"{path}: owner {facts.st_uid}, mode {mode:04o}")


def disk(places: Places) -> Iterator[Finding]:
    """Yield how much room is left for the cache and for the audit log."""
    for name in ("state", "log"):
        path: Path = getattr(places, name)
        if not path.exists():
            continue
        free = shutil.disk_usage(path).free
        text = f"{path}: {free // MEBIBYTE:,} MiB free"
        if free < LITTLE:
            yield problem(f"disk ({name})", text, "make room: records that cannot be written are a failure")
        else:
            yield fine(f"disk ({name})", text)
