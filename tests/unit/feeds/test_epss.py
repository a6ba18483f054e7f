# SPDX-License-Identifier: Apache-2.0
"""FIRST's daily scores: read as published, refused with file and line where damaged or hostile."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sifgate.errors import ConfigError
from sifgate.feeds import epss, text

HEAD = "#model_version:v2099.01.01,score_date:2099-01-02T00:00:00+0000\ncve,epss,percentile\n"
ROWS = "CVE-2099-1111,0.91963,0.99030\nCVE-2099-22222,0.00043,0.05\nCVE-2099-3333,1,1\nCVE-2099-4444,0.00000,0.0\n"


def put(directory: Path, content: str, name: str = "epss.csv") -> Path:
    """Write a feed, compressed if its name says so."""
    path = directory / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return path


@pytest.mark.parametrize("name", ["epss.csv", "epss.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_scores(tmp_path: Path, name: str, end: str) -> None:
    """The value by CVE and never the percentile, with date and model of the scores."""
    put(tmp_path, (HEAD + ROWS).replace("\n", end), name)
    found = epss.load(tmp_path)
    assert found.values == {
        "CVE-2099-1111": 0.91963,
        "CVE-2099-22222": 0.00043,
        "CVE-2099-3333": 1.0,
        "CVE-2099-4444": 0.0,
    }
    assert (found.date, found.model) == ("2099-01-02", "v2099.01.01")
    assert len(found.digest) == 64


def test_no_file_is_no_scores(tmp_path: Path) -> None:
    """Without a file there is no date that would pretend otherwise."""
    assert epss.load(tmp_path) == epss.Scores()


def test_newer_heads_and_small_numbers(tmp_path: Path) -> None:
    """The time of the head as FIRST writes it today, numbers in scientific notation, a repeated CVE: the higher."""
    head = HEAD.replace("T00:00:00+0000", "T12:55:00Z")
    put(tmp_path, head + "CVE-2099-1111,9.7e-4,0.1\nCVE-2099-1111,0.2,0.1\nCVE-2099-1111,0.1,0.1\n\n")
    found = epss.load(tmp_path)
    assert (found.values, found.date) == ({"CVE-2099-1111": 0.2}, "2099-01-02")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "epss.csv:1"),
        (HEAD.split("\n", 1)[1] + ROWS, "epss.csv:1"),
        ("#model_version:v1,score_date:yesterday\ncve,epss,percentile\n" + ROWS, "epss.csv:1"),
        (HEAD.replace("epss,percentile", "percentile,epss") + ROWS, "epss.csv:2"),
        (HEAD, "epss.csv: has no scores"),
        (HEAD + ROWS + "CVE-2099-5555,1.5,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,9e-0,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,-0.5,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,nan,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,inf,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,0_1,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,\u0660.5,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,0.1,0.1,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555\n", "epss.csv:7"),
        (HEAD + ROWS + "GHSA-2222-3333-4444,0.1,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,0.1", "epss.csv:7"),
        (HEAD + ROWS + "CVE-2099-5555,0.1\n", "epss.csv:7"),
        (HEAD + ROWS + "\x00" * 5000 + "\n", "epss.csv:7"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, place: str) -> None:
    """An error names the file and the line; a file that is cut short within a number is not read as another number."""
    put(tmp_path, content)
    with pytest.raises(ConfigError, match=place.replace(".", r"\.")) as caught:
        epss.load(tmp_path)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def test_truncated_and_huge_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gzip cut short is an error, and one that unpacks to more than the bound is not unpacked further."""
    path = put(tmp_path, HEAD + ROWS, "epss.csv.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ConfigError, match=r"epss\.csv\.gz"):
        epss.load(tmp_path)
    monkeypatch.setattr(text, "LARGEST", 1000)
    put(tmp_path, HEAD + "CVE-2099-1111,0.5,0.5\n" * 1000, "epss.csv.gz")
    with pytest.raises(ConfigError, match="more than 1000 bytes"):
        epss.load(tmp_path)


@given(st.text())
def test_any_text_is_read_or_refused(content: str) -> None:
    """Whatever stands below the head: scores from 0 to 1, or an error of ours."""
    feed = text.FeedText(path=Path("epss.csv"), text=HEAD + content + "\n", digest="d", modified="2099-01-02")
    try:
        found = epss.parse(feed)
    except ConfigError:
        return
    assert all(0.0 <= value <= 1.0 for value in found.values.values())


def test_the_published_sample() -> None:
    """FIRST's own form, as published."""
    path = Path(__file__).parents[4] / "shared/data/kev-epss/epss_scores-2024-10-25.sample.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    found = epss.parse(text.read(path))
    assert (len(found.values), found.date, found.model) == (29, "2024-10-25", "v2023.03.01")
    assert found.values["CVE-1999-0005"] == 0.91963
