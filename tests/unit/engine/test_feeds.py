# SPDX-License-Identifier: Apache-2.0
"""The server's feeds: shipped ones, the site's own before them, and what the site renews while the engine runs."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from sifgate.config import Places
from sifgate.engine.accounts import Account
from sifgate.engine.feeds import Feeds
from sifgate.engine.layout import Layout
from sifgate.errors import ConfigError

ME = Account("me", os.geteuid(), os.getegid())
EPSS = "#model_version:v1,score_date:2026-01-02T00:00:00Z\ncve,epss,percentile\nCVE-2099-1111,0.1,0.5\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Places of an engine, with a directory for the site's own feeds."""
    found = Layout(Places.under(tmp_path))
    found.feeds.mkdir(parents=True)
    own(found).mkdir(parents=True)
    return found


def own(layout: Layout) -> Path:
    """Return the directory of the site's own feeds."""
    return layout.places.etc / "feeds"


def names(layout: Layout) -> set[str]:
    """Return what the server finds."""
    return {path.name for path in layout.feeds.iterdir()}


def test_shipped_feeds_are_the_start(layout: Layout) -> None:
    """Known exploited flaws, ends of support and the advisories' dates; no scores that would be old at once."""
    Feeds(layout, ME, builtin=True).fill()
    assert names(layout) == {"kev.json.gz", "debian.csv", "ubuntu.csv", "advisories.json"}
    Feeds(layout, ME, builtin=False).fill()
    assert names(layout) == {"kev.json.gz", "debian.csv", "ubuntu.csv"}


def test_the_sites_own_go_before_the_shipped(layout: Layout) -> None:
    """Plain or compressed, with the date of its file; where the site takes it away, the shipped one is back."""
    (own(layout) / "kev.json").write_text("{}")
    (own(layout) / "epss.csv.gz").write_bytes(gzip.compress(EPSS.encode()))
    os.utime(own(layout) / "kev.json", (1_000_000_000, 1_000_000_000))
    feeds = Feeds(layout, ME, builtin=False)
    feeds.fill()
    assert names(layout) == {"kev.json", "epss.csv.gz", "debian.csv", "ubuntu.csv"}
    assert (layout.feeds / "kev.json").stat().st_mtime == 1_000_000_000
    for file in own(layout).iterdir():
        file.unlink()
    assert feeds.follow()
    assert names(layout) == {"kev.json.gz", "debian.csv", "ubuntu.csv"}


def test_what_the_site_renews_is_followed(layout: Layout) -> None:
    """A timer writes today's scores: they reach the server without a restart, and once only."""
    feeds = Feeds(layout, ME, builtin=False)
    feeds.fill()
    assert not feeds.follow()
    (own(layout) / "epss.csv").write_text(EPSS)
    assert feeds.follow()
    assert (layout.feeds / "epss.csv").read_text() == EPSS
    assert not feeds.follow()
    (own(layout) / "epss.csv").unlink()
    (own(layout) / "epss.csv.gz").write_bytes(gzip.compress(EPSS.encode()))
    assert feeds.follow()
    assert "epss.csv" not in names(layout)


def test_a_feed_that_cannot_be_read_is_named(layout: Layout) -> None:
    """A directory where a file should be: an error that names it, told once, and the server keeps what it had."""
    feeds = Feeds(layout, ME, builtin=False)
    (own(layout) / "epss.csv").write_text(EPSS)
    feeds.fill()
    (own(layout) / "epss.csv").unlink()
    (own(layout) / "epss.csv").mkdir()
    with pytest.raises(ConfigError, match=r"feeds/epss\.csv"):
        feeds.follow()
    assert not feeds.follow()
    assert (layout.feeds / "epss.csv").read_text() == EPSS
