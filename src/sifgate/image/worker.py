# SPDX-License-Identifier: Apache-2.0
"""The parent's side of the disposable worker: one sandboxed process per image, its answer believed only after checks."""

from __future__ import annotations

from collections.abc import Callable

from sifgate.errors import Unscannable
from sifgate.image.bounds import Bounds
from sifgate.model.image import Extraction

_DEFAULT = Bounds()


def extract(
    fd: int,
    *,
    bounds: Bounds = _DEFAULT,
    uid: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Extraction, int]:
    """Return what the image behind `fd` holds, and a descriptor of its slim layer (at 0; the caller closes it).

    `uid` is the worker's own user id (only root can give one); `progress` is called with (done, total) entries.
    Raises `Unscannable` with one of the design's six causes; never returns a partial answer.
    """
    del fd, bounds, uid, progress
    raise Unscannable("sandbox", "the worker is not there yet")


def recheck(fd: int, extraction: Extraction, *, uid: int | None = None) -> None:
    """Return if the slim layer behind `fd` is exactly what `extraction` says, parsed anew in the same sandbox.

    Raises `Unscannable("malformed", …)` unless its canonical re-serialisation is identical and the fingerprint right.
    """
    del fd, extraction, uid
    raise Unscannable("sandbox", "the worker is not there yet")


def sandbox_layers() -> dict[str, str]:
    """Return the layers of the sandbox on this machine: name → "active", or why not."""
    return {}
