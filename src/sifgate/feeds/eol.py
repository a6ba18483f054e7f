# SPDX-License-Identifier: Apache-2.0
"""When distributions stop being supported, from the tables of Debian's package `distro-info-data`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError
from sifgate.feeds import text
from sifgate.model.verdict import EndOfLife

PRODUCTS = {"debian": "Debian", "ubuntu": "Ubuntu"}
"""os-release ID → name for people; the table is `<id>.csv`."""
_NEEDED = ("version", "series", "eol")
_REGULAR = ("eol", "eol-server")
_LONG_TERM = ("eol-lts",)
"""Support that everybody gets."""
_PAID = ("eol-elts", "eol-esm")
"""Support that needs a contract; `eol-legacy` needs one more on top and is left out."""


class Table(msgspec.Struct, frozen=True):
    """Support dates of all known releases."""

    support: Mapping[tuple[str, str], EndOfLife] = {}
    """By (os-release ID, VERSION_ID)."""
    date: str = ""
    """ISO date of the newest file; empty: there is none."""
    digests: tuple[str, ...] = ()


def load(directory: Path) -> Table:
    """Return what `<id>.csv[.gz]` in `directory` say, for each of `PRODUCTS` that is there; raises ConfigError."""
    support: dict[tuple[str, str], EndOfLife] = {}
    feeds = []
    for system in PRODUCTS:
        path = text.find(directory, f"{system}.csv")
        if path is not None:
            feed = text.read(path)
            support |= parse(system, feed)
            feeds.append(feed)
    newest = max((feed.modified for feed in feeds), default="")
    return Table(support=support, date=newest, digests=tuple(feed.digest for feed in feeds))


def parse(system: str, feed: text.FeedText) -> dict[tuple[str, str], EndOfLife]:
    """Return the dates in one table; raises ConfigError that names file and line."""
    rows = csv.reader(io.StringIO(feed.text), strict=True)
    header: list[str] = []
    found: dict[tuple[str, str], EndOfLife] = {}
    try:
        for row in rows:
            if not row or row[0].startswith("#"):
                continue
            if not header:
                header = _header(row, f"{feed.path}:{rows.line_num}")
                continue
            found |= _release(system, header, row, f"{feed.path}:{rows.line_num}")
    except csv.Error as error:
        raise ConfigError(f"{feed.path}:{rows.line_num}: is not CSV: {error}") from error
    if not found:
        raise ConfigError(f"{feed.path}: names no release")
    return found


def _header(row: list[str], place: str) -> list[str]:
    missing = [name for name in _NEEDED if name not in row]
    if missing:
        raise ConfigError(f"{place}: the header lacks {', '.join(missing)}")
    return row


def _release(system: str, header: list[str], row: list[str], place: str) -> dict[tuple[str, str], EndOfLife]:
    """Return the entry of one row; none for a release without a number (Debian sid) or without an end yet."""
    if len(row) > len(header):
        raise ConfigError(f"{place}: has {len(row)} columns, the header {len(header)}")
    values = dict(zip(header, row, strict=False))
    for name in (*_REGULAR, *_LONG_TERM, *_PAID):
        _check_date(values.get(name, ""), name, place)
    number = values["version"].split(" ")[0]
    if not number:
        return {}
    regular = max(values.get(name, "") for name in _REGULAR)
    long_term = max(values.get(name, "") for name in _LONG_TERM)
    paid = max(values.get(name, "") for name in _PAID)
    product = f"{PRODUCTS[system]} {values['version']}"
    return {(system, number): EndOfLife(product=product, eol=regular, lts=long_term, elts=paid)}


def _check_date(value: str, name: str, place: str) -> None:
    try:
        good = not value or date.fromisoformat(value).isoformat() == value
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"{place}: {name} is {value!r}, not a date as 2026-08-31")
