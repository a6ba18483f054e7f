# SPDX-License-Identifier: Apache-2.0
"""How old the advisories really are, where that is known: Clair tells only when it loaded them (clair.md §4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError
from sifgate.feeds import text

NAME = "advisories.json"


class Published(msgspec.Struct, frozen=True):
    """ISO times at which the data of an updater were published, by updater; written by whoever brought the data."""

    dates: Mapping[str, str] = {}
    digest: str = ""


def load(directory: Path) -> Published:
    """Return the dates in `directory/advisories.json`, none if there is no such file; raises ConfigError."""
    path = text.find(directory, NAME)
    if path is None:
        return Published()
    feed = text.read(path)
    try:
        dates = msgspec.json.decode(feed.text, type=dict[str, datetime])
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: are no dates by updater: {error}") from error
    return Published(dates={name: date.isoformat() for name, date in dates.items()}, digest=feed.digest)
