# SPDX-License-Identifier: Apache-2.0
"""Clair, built once from its Go module with a committed `go.sum`, and kept in a cache.

Root never compiles and never runs what a user could have changed: as root the build runs under a uid that nobody has,
in a directory of its own, and the result is copied to a root-owned place with its digest beside it. `ensure_clair`
checks owner, mode and digest at each call, so at each start.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from sifgate import fsguard
from sifgate.engine import gotoolchain
from sifgate.engine.accounts import Account, builder
from sifgate.engine.progress import Progress, silent
from sifgate.errors import EngineError

CLAIR_VERSION = "v4.9.0"
PROGRAMS = ("clair", "clairctl")
"""Built together: the second one, which imports bundles, costs a few seconds more then, and two minutes later."""
MODULE = Path(__file__).parent / "clair_module"
_COMMANDS = "github.com/quay/clair/v4/cmd"
_TAIL = 2000  # characters of the compiler's last words that an error quotes


def ensure_clair(cache: Path, *, program: str = "clair", progress: Progress = silent) -> Path:
    """Return the path of a checked `clair` (or `clairctl`) below `cache`, building it first if it is not there.

    The build takes two minutes on two cores and needs a Go module proxy. Raises `EngineError` if it fails or if the
    cached program is not the one that was built, `UnsafeFile` if others could have written it.
    """
    home = cache.absolute() / "clair" / _key()
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    fsguard.check(home, owner_uid=os.geteuid())
    target = home / program
    with FileLock(home / "lock", mode=0o600):
        if not target.exists():
            _build(home, [name for name in PROGRAMS if not (home / name).exists()], progress)
        verify(target)
    return target


def verify(program: Path) -> None:
    """Raise unless nobody else could have written `program` and it has the digest recorded beside it."""
    record = _record(program)
    for file in (program, record):
        fsguard.check(file, owner_uid=os.geteuid())
    if digest(program) != record.read_text().strip():
        raise EngineError(
            f"{program}: not the program that was built here", hint=f"rm {program} and start again"
        )


def install(program: Path, target: Path) -> Path:
    """Copy a checked program to `target` (for uids that cannot enter the cache) unless it is there; return `target`."""
    if (
        target.exists()
        and _record(target).exists()
        and _record(target).read_text() == _record(program).read_text()
    ):
        verify(target)
        return target
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _place(program, target)
    verify(target)
    return target


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in lower-case hex."""
    value = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            value.update(block)
    return value.hexdigest()


def _record(program: Path) -> Path:
    return program.with_name(program.name + ".sha256")


def _key() -> str:
    """Return a name for what is built: the pinned module graph and the machine it is for."""
    value = hashlib.sha256(platform.machine().encode())
    for name in ("go.mod", "go.sum"):
        value.update((MODULE / name).read_bytes())
    return f"{CLAIR_VERSION}-{value.hexdigest()[:12]}"


class _Workshop(NamedTuple):
    """Where and as whom Go runs."""

    go: Path
    account: Account
    environment: dict[str, str]
    module: Path

    def run(self, *words: str) -> subprocess.Popen[str]:
        """Start `go WORDS` with its output in two pipes."""
        return subprocess.Popen(
            [str(self.go), *words], cwd=self.module, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **self.account.arguments(),
        )  # fmt: skip


def _build(home: Path, programs: list[str], progress: Progress) -> None:
    account = builder()
    # The builder must be able to reach its directory, which it could not below root's own cache.
    place = "/var/tmp" if os.geteuid() == 0 else None  # noqa: S108 - mkdtemp makes it ours
    with tempfile.TemporaryDirectory(prefix="sifgate-build-", dir=place) as name:
        scratch = Path(name)
        module = scratch / "module"
        module.mkdir()
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(MODULE / file, module / file)
        for directory in (scratch, module):
            os.chown(directory, account.uid, account.gid)
        go = gotoolchain.find(account, scratch, progress)
        try:
            shop = _Workshop(go, account, gotoolchain.environment(go, scratch), module)
            for program in programs:
                _compile(shop, program, progress)
                _place(module / program, home / program)
        finally:
            _make_removable(scratch)


def _compile(shop: _Workshop, program: str, progress: Progress) -> None:
    package = f"{_COMMANDS}/{program}"
    progress(f"{program}: fetching modules", 0, 0)
    with shop.run("list", "-mod=readonly", "-deps", package) as listing:
        packages, words = listing.communicate()
    if listing.returncode:
        raise _failure(program, words)
    total = len(packages.split())
    spoken: list[str] = []
    with shop.run("build", "-mod=readonly", "-trimpath", "-v", "-o", program, package) as compiler:
        for line in compiler.stderr or ():
            spoken.append(line)
            progress(f"{program}: compiling", len(spoken), total)
    if compiler.returncode:
        raise _failure(program, "".join(spoken[-20:]))
    progress(f"{program}: compiled", total, total)


def _failure(program: str, words: str) -> EngineError:
    return EngineError(
        f"{program} cannot be built: {words.strip()[-_TAIL:]}",
        hint="Go modules come through GOPROXY; without network name a Clair of yours: engine.clair.url in sifgate.yaml",
    )


def _place(source: Path, target: Path) -> None:
    """Copy what was built, from one descriptor, and record the digest of the bytes that were copied."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    value = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise EngineError(f"{source}: not a regular file", hint="remove it and start again")
        fresh = target.with_name(f".{target.name}.new")
        with fresh.open("wb") as out:
            while block := stream.read(1 << 20):
                value.update(block)
                out.write(block)
    fresh.chmod(0o755)
    record = _record(target)
    record.write_text(value.hexdigest() + "\n")
    record.chmod(0o644)
    fresh.replace(target)


def _make_removable(scratch: Path) -> None:
    """Give back the write bits that Go takes from its module cache, so that the directory can be removed."""
    for place, names, _ in os.walk(scratch):
        for name in names:
            directory = os.path.join(place, name)  # noqa: PTH118 - thousands of them
            if not os.path.islink(directory):  # noqa: PTH114
                os.chmod(directory, 0o700)  # noqa: PTH101
