# SPDX-License-Identifier: Apache-2.0
"""Start a program as another uid even where the interpreter lies in a directory that this uid cannot enter.

A Python of root's own (/root/.pyenv) or a clone below /root is out of reach for the parts' uids. Opening /root to
everybody is not ours to do; instead such a part gets a mount namespace in which a small tmpfs stands over /root and
holds, read-only, nothing but the directories that the program needs. Run as `python -m sifgate.engine.reach`, by root.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

_CLONE_NEWNS = 0x20000
_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18


def needed() -> tuple[Path, ...]:
    """Return the directories that our programs are loaded from: interpreter, environment, package."""
    places = {Path(sys.base_prefix), Path(sys.prefix), Path(__file__).parents[1]}
    real = {place.resolve() for place in places} | {Path(os.path.realpath(sys.executable)).parents[1]}
    return tuple(sorted(places | real))


def blocked(places: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return the topmost directories that strangers cannot enter, each with what is needed below it."""
    found: dict[Path, list[Path]] = {}
    for place in places:
        for parent in reversed((place, *place.parents)):
            if not parent.stat().st_mode & 0o001:
                found.setdefault(parent, []).append(place)
                break
    return found


def command(words: Sequence[str], uid: int, gid: int, groups: Sequence[int]) -> list[str]:
    """Return the command that runs `words` as that uid behind a mount namespace."""
    return [
        sys.executable, "-I", "-m", "sifgate.engine.reach", "--uid", str(uid), "--gid", str(gid),
        "--groups", ",".join(map(str, groups)), "--", *words,
    ]  # fmt: skip


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _mount(source: str, target: Path, kind: str, flags: int, data: str = "") -> None:
    _call("mount", source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode())


def _uncover(hidden: Path, places: Iterable[Path]) -> None:
    """Put a tmpfs over `hidden` in which only `places` are left, read-only."""
    kept = {place: os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for place in places}
    _mount("none", hidden, "tmpfs", _MS_NOSUID, "mode=0755,size=64k")
    for place, descriptor in kept.items():
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not any(place.iterdir()):  # else it came along with a directory above it
            _mount(f"/proc/self/fd/{descriptor}", place, "", _MS_BIND | _MS_REC)
            _mount("none", place, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID)
        os.close(descriptor)
    _mount("none", hidden, "", _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID)


def main(argv: Sequence[str] | None = None) -> None:
    """Make the namespace, become the uid, run the program."""
    parser = argparse.ArgumentParser(prog="sifgate-reach", description=__doc__)
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--groups", default="")
    parser.add_argument("words", nargs="+")
    options = parser.parse_args(argv)
    os.umask(0o022)
    try:
        _call("unshare", _CLONE_NEWNS)
        _mount("none", Path("/"), "", _MS_REC | _MS_PRIVATE)
        for hidden, places in blocked(needed()).items():
            _uncover(hidden, places)
    except OSError as error:
        sys.exit(
            f"sifgate: {sys.executable} is out of reach for uid {options.uid}; no mount namespace: {error}\n"
            "  hint: use a Python and a directory that every user can enter, such as /usr/bin/python3 and /opt"
        )
    os.setgroups([int(word) for word in options.groups.split(",") if word])
    os.setresgid(options.gid, options.gid, options.gid)
    os.setresuid(options.uid, options.uid, options.uid)
    os.umask(0o077)
    os.execve(options.words[0], options.words, dict(os.environ))  # noqa: S606 - the program that we were asked to run


if __name__ == "__main__":
    main()
