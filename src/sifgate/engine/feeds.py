# SPDX-License-Identifier: Apache-2.0
"""The shipped feeds for the server: known exploited vulnerabilities, end-of-life dates, and the advisories' dates."""

from __future__ import annotations

import msgspec

from sifgate.engine import keys, mirror
from sifgate.engine.accounts import Account
from sifgate.engine.layout import Layout

_FILES = ("kev.json.gz", "debian.csv", "ubuntu.csv")


def fill(layout: Layout, owner: Account, *, builtin: bool) -> None:
    """Put the feeds where the server looks: the site's own from `<etc>/feeds/` where it has one, else the shipped.

    With `builtin` advisories their dates go along; of others only Clair's time of loading is known.
    """
    for name in _FILES:
        own = [layout.places.etc / "feeds" / word for word in (name, name.removesuffix(".gz"))]
        source = next((file for file in own if file.exists()), mirror.DATA / "feeds" / name)
        for stale in {name, name.removesuffix(".gz")} - {source.name}:
            (layout.feeds / stale).unlink(missing_ok=True)
        keys.write(layout.feeds / source.name, source.read_bytes(), owner, mode=0o644)
    if not builtin:
        (layout.feeds / "advisories.json").unlink(missing_ok=True)
        return
    dates = {name: source.as_of for name, source in mirror.shipped().sources.items()}
    keys.write(layout.feeds / "advisories.json", msgspec.json.encode(dates), owner, mode=0o644)
