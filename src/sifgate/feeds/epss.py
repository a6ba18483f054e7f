# SPDX-License-Identifier: Apache-2.0
"""FIRST's EPSS scores (probability of exploitation within 30 days), from the file that FIRST publishes each day."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from sifgate.errors import ConfigError
from sifgate.feeds import text

NAME = "epss.csv"
_HEAD = re.compile(
    r"#\s*model_version:(?P<model>[\w.:-]{1,64}),\s*score_date:(?P<date>\d{4}-\d{2}-\d{2})(T\S*)?\s*"
)
_ROW = re.compile(
    r"(CVE-\d{4}-\d{4,19}),((?:0|1)(?:\.\d{1,19})?|\d(?:\.\d{1,19})?[eE]-\d{1,3}),[^,]*", re.ASCII
)
_COLUMNS = "cve,epss,percentile"
_MOST = 60
"""Characters of a bad line that the error repeats."""


class Scores(msgspec.Struct, frozen=True):
    """The scores of one day."""

    values: Mapping[str, float] = {}
    """Probability, 0 to 1, by CVE; never the percentile."""
    date: str = ""
    """ISO date of the scores; empty: no file is there."""
    model: str = ""
    digest: str = ""


def load(directory: Path) -> Scores:
    """Return the scores in `directory/epss.csv[.gz]`, none if there is no such file; raises ConfigError."""
    path = text.find(directory, NAME)
    return parse(text.read(path)) if path else Scores()


def parse(feed: text.FeedText) -> Scores:
    """Return the scores in a feed; raises ConfigError that names file and line.

    A row without its third column is refused: it may be cut short, and half of a number is a number.
    """
    lines = _lines(feed.text)
    head = _HEAD.fullmatch(next(lines, ""))
    if head is None:
        raise ConfigError(f"{feed.path}:1: lacks the first line of EPSS, #model_version:…,score_date:…")
    if next(lines, "") != _COLUMNS:
        raise ConfigError(f"{feed.path}:2: the columns are not {_COLUMNS}")
    values = _values(lines, feed.path)
    if not values:
        raise ConfigError(f"{feed.path}: has no scores")
    return Scores(values=values, date=head["date"], model=head["model"], digest=feed.digest)


def _values(lines: Iterator[str], path: Path) -> dict[str, float]:
    """Return the rows below the header; of a CVE that comes twice the higher score."""
    values: dict[str, float] = {}
    same: dict[float, float] = {}
    """Equal numbers as one object: 300,000 rows have some 40,000 different ones."""
    for number, line in enumerate(lines, start=3):
        row = _ROW.fullmatch(line)
        if row is None:
            if not line.strip():
                continue
            raise ConfigError(f"{path}:{number}: {line[:_MOST]!r} is not a CVE with score and percentile")
        cve, value = row[1], float(row[2])
        if value > 1.0:
            raise ConfigError(f"{path}:{number}: the score of {cve} is {row[2]}, not from 0 to 1")
        value = same.setdefault(value, value)
        if value > values.get(cve, -1.0):
            values[cve] = value
    return values


def _lines(whole: str) -> Iterator[str]:
    """Give the lines of a text one by one: all at once would double what it takes."""
    start = 0
    while start < len(whole):
        end = whole.find("\n", start)
        end = len(whole) if end < 0 else end
        yield whole[start:end].removesuffix("\r")
        start = end + 1
