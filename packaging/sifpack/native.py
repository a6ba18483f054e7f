# SPDX-License-Identifier: Apache-2.0
"""The C parts: static programs, and the SPANK plugin for every series of Slurm, linked for an old glibc.

The programs need no C library at all. The plugins are linked by `zig cc`, which brings the symbols of each glibc: a
plugin linked on a new distribution by its own compiler would ask for symbols that Enterprise Linux 8 does not have.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from testbed.cache import key_of, obtain

from sifpack.errors import run
from sifpack.python import SOURCE
from sifpack.series import GLIBC, machine

TOOLCHAIN = SOURCE / "packaging" / "toolchain.txt"
RECIPE = "3"
PREFIX_MAP = f"-ffile-prefix-map={SOURCE}=."


def obtain_programs() -> Path:
    """Return the directory that holds `sifgate-wrapper`, `sifgate-ask`, … compiled from `hooks/`."""

    def build(work: Path) -> None:
        words = [f"OUT={work}", f"CFLAGS=-O2 -g0 {PREFIX_MAP}", "LDFLAGS=-s"]
        run(["make", "--silent", "-C", str(SOURCE / "hooks"), *words])

    return obtain("programs", "hooks", key_of(RECIPE, *_content("hooks", "plugin/client")), build)


def obtain_plugins(headers: Mapping[str, Path]) -> Path:
    """Return the directory with `SERIES/sifgate.so` for each series in `headers` (series → include directory)."""

    def build(work: Path) -> None:
        compiler = f"{_zig()} cc -target {machine()}-linux-gnu.{GLIBC}"
        caches = {name: str(work / ".zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
        for series in headers:
            words = [
                f"OUT={work / series}",
                f"CC={compiler}",
                f"SLURM_INCLUDE={headers[series]}",
                "LDFLAGS=-s",
            ]
            run(["make", "--silent", "-C", str(SOURCE / "plugin"), *words, f"CFLAGS=-O2 -g0 {PREFIX_MAP}", "all"],
                environment={**os.environ, **caches})  # fmt: skip
        shutil.rmtree(work / ".zig")

    key = key_of(RECIPE, *map(str, headers.values()), *_content("plugin"), TOOLCHAIN.read_bytes())
    return obtain("plugins", "spank", key, build)


def _zig() -> Path:
    """Return the compiler, installed into the cache from its hash-pinned wheel."""

    def build(work: Path) -> None:
        run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--require-hashes", "--only-binary", ":all:", "--target", str(work), "-r", str(TOOLCHAIN)])  # fmt: skip

    return obtain("toolchain", "zig", key_of(RECIPE, TOOLCHAIN.read_bytes()), build) / "ziglang/zig"


def _content(*directories: str) -> Iterator[bytes]:
    """Yield names and bytes of the sources in directories of the clone."""
    for directory in directories:
        for path in sorted((SOURCE / directory).rglob("*")):
            if path.suffix in {".c", ".h", ".lds"} or path.name == "Makefile":
                yield str(path.relative_to(SOURCE)).encode()
                yield path.read_bytes()
