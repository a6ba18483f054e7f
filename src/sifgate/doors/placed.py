# SPDX-License-Identifier: Apache-2.0
"""Small files of ours in directories of other programs: put there whole, taken away again, never through a link."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def below(tree: Path, path: Path | str) -> Path:
    """Return an absolute path as it lies below `tree`."""
    return tree / str(path).lstrip("/")


def text_of(path: Path) -> str | None:
    """Return the text of a regular file; None where there is none, or it cannot be read."""
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError):
        return None


def put(path: Path, text: str, mode: int = 0o644) -> bool:
    """Make `path` a file of this text and mode, in one step; return whether anything was to do. May raise OSError."""
    if text_of(path) == text and path.stat().st_mode & 0o7777 == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".sifgate-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def take(path: Path) -> bool:
    """Remove a file or link; return whether there was one. May raise OSError."""
    if not path.is_symlink() and not path.exists():
        return False
    path.unlink()
    return True


def is_program(path: Path) -> bool:
    """Return whether a regular file lies there that everybody may run."""
    return path.is_file() and path.stat().st_mode & 0o111 == 0o111  # noqa: PLR2004 - a mode
