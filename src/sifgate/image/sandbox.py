# SPDX-License-Identifier: Apache-2.0
"""The walls that a worker puts around itself before it looks at an image; each is tried, and says why it is not there.

Order matters: what needs privileges first, then the privileges go, then the walls that need none. Works without user
namespaces. Nothing in here reads the image.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Callable

from sifgate.image.bounds import Bounds

ACTIVE = "active"
CONFINING = frozenset({"seccomp", "landlock"})
"""Without at least one of these there is no sandbox: the others limit damage, these take the system away."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 8, 22, 38
_CAPABILITY_VERSION, _CAP_DAC_READ_SEARCH = 0x20080522, 2
_SECCOMP_MODE_FILTER = 2
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_VERSION = 1
_LANDLOCK_READ = 1 << 2 | 1 << 3
_LANDLOCK_FS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many file system rights each version knows (Documentation/userspace-api/landlock.rst)."""
_libc = ctypes.CDLL(None, use_errno=True)


def enter(
    bounds: Bounds, *, uid: int | None, program: bytes, why_no_program: str, directory: int | None
) -> dict[str, str]:
    """Close the sandbox around this process and return its layers: name → "active", or why not.

    `directory` is the descriptor of a sandbox image, below which files may still be opened for reading.
    """
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    of_root = directory is not None and os.fstat(directory).st_uid == 0
    return {
        "network": _tried(_no_network),
        "limits": _tried(lambda: _limits(bounds)),
        "uid": _tried(lambda: _drop_privileges(uid, reads_all=of_root))
        if uid is not None
        else "not started as root",
        "no_new_privs": _tried(lambda: _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))),
        "landlock": _tried(lambda: _landlock(directory)),
        "seccomp": _tried(lambda: _seccomp(program)) if program else why_no_program,
    }


def _tried(layer: Callable[[], object]) -> str:
    try:
        layer()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ACTIVE


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _no_network() -> None:
    """Move into an empty network namespace, by privilege or else by a user namespace."""
    if _libc.unshare(_CLONE_NEWNET) < 0:
        _checked(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET))


def _limits(bounds: Bounds) -> None:
    limits = [
        (resource.RLIMIT_AS, bounds.memory, bounds.memory),
        (resource.RLIMIT_CPU, bounds.cpu_seconds, bounds.cpu_seconds + 2),
        (resource.RLIMIT_FSIZE, bounds.layer_size + 1024, bounds.layer_size + 1024),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
    ]
    for limit, soft, hard in limits:
        ceiling = resource.getrlimit(limit)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)  # noqa: PLW2901  never above what we were given
        resource.setrlimit(limit, (soft, hard))


_GROUP = 65_533
"""The worker's gid: reserved, no file belongs to it. Not the uid's number, which may be another program's group."""


def _drop_privileges(uid: int, *, reads_all: bool) -> None:
    """Become `uid` with no privilege at all; for a directory of root, with that of reading what lies below it."""
    if uid == 0:
        raise ValueError("the worker's own uid is 0")
    os.setgroups([])
    os.setresgid(_GROUP, _GROUP, _GROUP)
    _checked(_libc.prctl(_PR_SET_KEEPCAPS, int(reads_all), 0, 0, 0))
    os.setresuid(uid, uid, uid)
    if reads_all:
        header = struct.pack("<Ii", _CAPABILITY_VERSION, 0)
        mask = 1 << _CAP_DAC_READ_SEARCH
        _checked(_libc.capset(header, struct.pack("<6I", mask, mask, 0, 0, 0, 0)))
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0))


def _landlock(directory: int | None) -> None:
    """Deny every file, and where the kernel can, TCP, signals and abstract sockets."""
    version = _checked(_libc.syscall(_SYS_LANDLOCK_CREATE, None, 0, _LANDLOCK_VERSION))
    files = (1 << _LANDLOCK_FS[min(version, max(_LANDLOCK_FS))]) - 1
    network = 3 if version >= 4 else 0  # noqa: PLR2004  bind and connect
    scopes = 3 if version >= 6 else 0  # noqa: PLR2004  abstract sockets and signals
    attributes = struct.pack("<QQQ", files, network, scopes)[: 24 if scopes else 16 if network else 8]
    rules = _checked(_libc.syscall(_SYS_LANDLOCK_CREATE, attributes, len(attributes), 0))
    try:
        if directory is not None:
            beneath = struct.pack("<Qi", _LANDLOCK_READ, directory)
            _checked(_libc.syscall(_SYS_LANDLOCK_ADD, rules, 1, beneath, 0))
        _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(_libc.syscall(_SYS_LANDLOCK_RESTRICT, rules, 0))
    finally:
        os.close(rules)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _seccomp(program: bytes) -> None:
    code = _Program(len(program) // 8, program)
    _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(code), 0, 0))
