# SPDX-License-Identifier: Apache-2.0
"""The shipped feeds for the server: known exploited vulnerabilities, end-of-life dates, and the advisories' dates."""

from __future__ import annotations

import msgspec

from sifgate.engine import keys, mirror
from sifgate.engine.accounts import Account
from sifgate.engine.layout import Layout

_FILES = ("kev.json.gz", "debian.csv", "ubuntu.csv")


def fill(layout: Layout, owner: Account) -> None:
    """Put the feeds where the server looks: the site's own from `<etc>/feeds/` where it has one, else the shipped."""
    for name in _FILES:
        own = [layout.places.etc / "feeds" / word for word in (name, name.removesuffix(".gz"))]
        source = next((file for file in own if file.exists()), mirror.DATA / "feeds" / name)
        for stale in {name, name.removesuffix(".gz")} - {source.name}:
            (layout.feeds / stale).unlink(missing_ok=True)
        keys.write(layout.feeds / source.name, source.read_bytes(), owner, mode=0o644)
    dates = {name: source.as_of for name, source in mirror.shipped().sources.items()}
    keys.write(layout.feeds / "advisories.json", msgspec.json.encode(dates), owner, mode=0o644)
