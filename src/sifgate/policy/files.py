# SPDX-License-Identifier: Apache-2.0
"""Lists and reads the files of a policy, bounded and without waiting."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sifgate.errors import PolicyError

MAX_FILES = 5000
"""In one directory."""


def listed(directory: Path, ending: str, *, needed: bool) -> tuple[Path, ...]:
    """Return the files of a directory with this ending, in name order; raises PolicyError.

    A YAML file that ends in `.yml` is an error: it would be a rule that nobody enforces. A directory that is not there
    is empty unless it is `needed`.
    """
    try:
        entries = sorted(entry for entry in directory.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        if not needed:
            return ()
        raise PolicyError(
            f"{directory}: no such directory",
            hint="create it; a relative name is looked for beside policy.yaml",
        ) from None
    except OSError as error:
        raise PolicyError(f"{directory}: cannot be read: {error.strerror or error}") from error
    for entry in entries:
        if ending == ".yaml" and entry.suffix == ".yml":
            hint = f"rename it to {entry.stem}.yaml, or move it away"
            raise PolicyError(f"{entry}: not read: policy files end in .yaml", hint=hint)
    found = tuple(entry for entry in entries if entry.suffix == ending)
    if len(found) > MAX_FILES:
        raise PolicyError(f"{directory}: more than {MAX_FILES} files")
    return found


def read_file(path: Path, maximum: int, *, links: bool = True) -> bytes:
    """Return the bytes of a regular file, one past `maximum` at most; raises PolicyError naming the file.

    Without `links` a symbolic link is refused: whoever may write the directory must not choose what root reads.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    try:
        with open(
            path, "rb", opener=lambda name, _: os.open(name, flags)
        ) as file:  # Path.open takes no opener
            content = file.read(maximum + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError as error:
        if not links and path.is_symlink():
            hint = "put the file itself there"
            raise PolicyError(f"{path}: a symbolic link is not read here", hint=hint) from None
        raise PolicyError(f"{path}: cannot be read: {error.strerror or error}") from error
    if content is None:
        raise PolicyError(f"{path}: not a regular file")
    if len(content) > maximum:
        raise PolicyError(f"{path}:1:1: the file is larger than {maximum} bytes")
    return content
