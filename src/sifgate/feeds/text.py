# SPDX-License-Identifier: Apache-2.0
"""Feed files as bounded text, plain or gzip, with the digest that goes into a generation."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError

LARGEST = 64 << 20
"""Bytes of an unpacked feed: CISA's catalogue has 1.5 MB."""


class FeedText(msgspec.Struct, frozen=True):
    """One feed file as it was read."""

    path: Path
    text: str
    digest: str
    """Over the unpacked bytes."""
    modified: str
    """ISO date of the file."""


def find(directory: Path, name: str) -> Path | None:
    """Return `directory/name` or `directory/name.gz`, whichever exists, plain first."""
    return next((path for path in (directory / name, directory / f"{name}.gz") if path.is_file()), None)


def read(path: Path) -> FeedText:
    """Return the text of a feed file; raises ConfigError if it cannot be read, is damaged, too large or not UTF-8."""
    try:
        with path.open("rb") as raw:
            modified = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).date().isoformat()
            if path.suffix == ".gz":
                with gzip.open(raw) as unpacked:
                    data = unpacked.read(LARGEST + 1)
            else:
                data = raw.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ConfigError(f"{path}: has more than {LARGEST} bytes")
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8") from error
    return FeedText(path=path, text=text, digest=hashlib.sha256(data).hexdigest(), modified=modified)
