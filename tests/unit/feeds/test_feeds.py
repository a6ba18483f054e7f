# SPDX-License-Identifier: Apache-2.0
"""Feed files: good ones become tables, bad ones an error that names file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from sifgate.errors import ConfigError
from sifgate.feeds import eol, kev, published, text
from sifgate.model.verdict import EndOfLife

DEBIAN = """version,codename,series,created,release,eol,eol-lts,eol-elts
10,Buster,buster,2017-06-17,2019-07-06,2022-09-10,2024-06-30,2029-06-30
11,Bullseye,bullseye,2019-07-06,2021-08-14,2024-08-14,2026-08-31,2031-06-30
13,Trixie,trixie,2023-06-10,2025-08-09,2028-08-09,2030-06-30
,Sid,sid,1993-08-16
"""
UBUNTU = """version,codename,series,created,release,eol,eol-server,eol-esm,eol-legacy
6.06 LTS,Dapper Drake,dapper,2005-10-12,2006-06-01,2009-07-14,2011-06-01
22.04 LTS,Jammy Jellyfish,jammy,2021-10-14,2022-04-21,2027-06-01,2027-06-01,2032-04-09,2034-04-25
"""
KEV = {
    "catalogVersion": "2025.08.25",
    "dateReleased": "2025-08-25T17:04:19.9796Z",
    "vulnerabilities": [{"cveID": "CVE-2025-48384", "dateAdded": "2025-08-25", "product": "Git"}],
}


def put(directory: Path, name: str, content: str) -> Path:
    """Write a feed, compressed if its name says so."""
    path = directory / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_kev(tmp_path: Path, suffix: str) -> None:
    """Plain or compressed, the catalogue gives dates by CVE, its own date and a digest of its content."""
    put(tmp_path, f"kev.json{suffix}", json.dumps(KEV))
    found = kev.load(tmp_path)
    assert (found.added, found.date) == ({"CVE-2025-48384": "2025-08-25"}, "2025-08-25")
    assert len(found.digest) == 64


def test_feeds_may_be_absent(tmp_path: Path) -> None:
    """Without files there is nothing to join, and no date that would pretend otherwise."""
    assert kev.load(tmp_path) == kev.Catalogue()
    assert eol.load(tmp_path) == eol.Table()
    assert published.load(tmp_path) == published.Published()


def test_published_dates(tmp_path: Path) -> None:
    """The dates of advisories are read by updater; anything else in the file is refused by name."""
    put(tmp_path, "advisories.json", '{"osv/pypi": "2024-10-10T00:00:00Z"}')
    assert published.load(tmp_path).dates == {"osv/pypi": "2024-10-10T00:00:00+00:00"}
    put(tmp_path, "advisories.json", '{"osv/pypi": "last autumn"}')
    with pytest.raises(ConfigError, match=r"advisories\.json"):
        published.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{\n "vulnerabilities": [\n oops', "kev.json:3"),
        ("", "kev.json"),
        ("[]", "kev.json"),
        ('{"vulnerabilities": []}', "kev.json"),
        ('{"vulnerabilities": [\n{"cveID": "CVE-2020-1111", "dateAdded": "soon"}]}', "kev.json:2"),
        ('{"vulnerabilities": [\n\n{"cveID": "GHSA-1", "dateAdded": "2020-01-01"}]}', "kev.json:3"),
    ],
)
def test_bad_catalogues(tmp_path: Path, content: str, place: str) -> None:
    """An error names the file, and the line where there is one; an empty catalogue is one."""
    put(tmp_path, "kev.json", content)
    with pytest.raises(ConfigError, match=place):
        kev.load(tmp_path)


def test_support_dates_with_long_term_and_paid_support_told_apart(tmp_path: Path) -> None:
    """Debian's LTS is for everybody; ELTS and Ubuntu's ESM need a contract and stand apart; legacy is left out."""
    put(tmp_path, "debian.csv", DEBIAN)
    put(tmp_path, "ubuntu.csv.gz", "# of 2026-06-30\n" + UBUNTU)
    found = eol.load(tmp_path).support
    assert found[("debian", "11")] == EndOfLife("Debian 11", "2024-08-14", "2026-08-31", "2031-06-30")
    assert found[("debian", "13")] == EndOfLife("Debian 13", "2028-08-09", "2030-06-30")
    assert found[("ubuntu", "22.04")] == EndOfLife("Ubuntu 22.04 LTS", "2027-06-01", elts="2032-04-09")
    assert found[("ubuntu", "6.06")] == EndOfLife("Ubuntu 6.06 LTS", "2011-06-01")
    assert len(found) == 5


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "debian.csv"),
        ("a,b,c\n", "debian.csv:1"),
        (DEBIAN.replace("2026-08-31", "31.8.2026"), "debian.csv:3"),
        (DEBIAN.replace("2026-08-31", "2026-02-30"), "debian.csv:3"),
        (DEBIAN.replace("2031-06-30", "2031-06-30,more"), "debian.csv:3"),
        (DEBIAN.replace("2031-06-30", "some day"), "debian.csv:3"),
        (DEBIAN.replace("Trixie", '"Trixie'), "debian.csv:"),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, place: str) -> None:
    """An error names the file and the line."""
    put(tmp_path, "debian.csv", content)
    with pytest.raises(ConfigError, match=place):
        eol.load(tmp_path)


@pytest.mark.parametrize("content", [b"\x1f\x8b damaged", gzip.compress(b"x" * 1000)[:-20], b""])
def test_damaged_compression(tmp_path: Path, content: bytes) -> None:
    """A file that is cut short or no gzip at all is an error, not an empty feed."""
    (tmp_path / "kev.json.gz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"kev\.json\.gz"):
        kev.load(tmp_path)


def test_not_utf8_and_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Foreign bytes are named by their line; a feed is read within bounds."""
    (tmp_path / "debian.csv").write_bytes(DEBIAN.encode() + b"\xff")
    with pytest.raises(ConfigError, match=r"debian\.csv:6"):
        eol.load(tmp_path)
    monkeypatch.setattr(text, "LARGEST", 100)
    put(tmp_path, "ubuntu.csv.gz", "x" * 101)
    with pytest.raises(ConfigError, match="more than 100 bytes"):
        text.read(tmp_path / "ubuntu.csv.gz")
