# SPDX-License-Identifier: Apache-2.0
"""Directories packed by the host's mksquashfs, deterministically."""

from __future__ import annotations

from pathlib import Path

from testbed.packages import find_program, require
from testbed.sif import partition, write_sif
from testbed.steps import run

COMPRESSIONS = ("gzip", "xz", "lz4", "zstd", "lzo")


def make_squashfs(
    tree: Path, target: Path, compression: str = "gzip", *, options: tuple[str, ...] = ()
) -> None:
    """Pack a directory into a new squashfs; files belong to root, times are zero, so equal trees give equal bytes."""
    require("mksquashfs")
    program = find_program("mksquashfs") or "mksquashfs"
    fixed = ("-noappend", "-no-progress", "-no-xattrs", "-all-root", "-all-time", "0", "-mkfs-time", "0")
    log = target.with_name(target.name + ".log")
    without_epoch = ("env", "-u", "SOURCE_DATE_EPOCH")  # mksquashfs refuses it beside explicit times
    run([*without_epoch, program, str(tree), str(target), "-comp", compression, *fixed, *options], log)
    log.unlink()


def make_sif(tree: Path, target: Path, compression: str = "gzip") -> None:
    """Pack a directory into a SIF with one primary squashfs partition."""
    inner = target.with_name(target.name + ".squashfs")
    make_squashfs(tree, inner, compression)
    try:
        write_sif(target, [partition(inner)])
    finally:
        inner.unlink()
