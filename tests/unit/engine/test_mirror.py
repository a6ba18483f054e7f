# SPDX-License-Identifier: Apache-2.0
"""The mirror of shipped advisories: what Clair's updaters ask for, and nothing to strangers."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sifgate.engine import mirror

PASSWORD = "p" * 43
HEADER = b"Basic " + base64.b64encode(f"clair:{PASSWORD}".encode())


def ask(
    application: mirror.Mirror, path: str, *, method: str = "GET", headers: dict[bytes, bytes] | None = None
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Return status, headers and body of one request."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = {b"authorization": HEADER} if headers is None else headers
    scope = {"type": "http", "method": method, "path": path, "headers": list(given.items())}
    asyncio.run(application(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.fixture(scope="module")
def application() -> mirror.Mirror:
    """The mirror of the shipped files alone."""
    return mirror.Mirror(PASSWORD)


def test_debian(application: mirror.Mirror) -> None:
    """The list of releases, their versions and the tracker are there."""
    assert b'href="bullseye/"' in ask(application, "/debian/dists/")[2]
    assert b"Version: 11.11" in ask(application, "/debian/dists/bullseye/Release")[2]
    status, headers, body = ask(application, "/tracker/data/json")
    assert (status, headers[b"last-modified"]) == (200, b"Fri, 21 Aug 2026 00:00:00 GMT")
    assert len(json.loads(body)) == 2_334


def test_ecosystems(application: mirror.Mirror) -> None:
    """Each ecosystem that is named has its archive."""
    names = ask(application, "/ecosystems.txt")[2].decode().split()
    assert sorted(names) == ["Go", "PyPI"]
    for name in names:
        archive = zipfile.ZipFile(io.BytesIO(ask(application, f"/{name}/all.zip")[2]))
        assert len(archive.namelist()) > 2_000


def test_unchanged_is_not_sent_again(application: mirror.Mirror) -> None:
    """Clair's conditional requests by date and by tag are answered 304."""
    headers = ask(application, "/tracker/data/json")[1]
    for name, value in ((b"if-modified-since", b"last-modified"), (b"if-none-match", b"etag")):
        again = ask(
            application, "/tracker/data/json", headers={b"authorization": HEADER, name: headers[value]}
        )
        assert (again[0], again[2]) == (304, b"")


@pytest.mark.parametrize("headers", [{}, {b"authorization": b"Basic AAAA"}, {b"authorization": b""}])
def test_stranger(application: mirror.Mirror, headers: dict[bytes, bytes]) -> None:
    """Without the password nothing is told."""
    assert ask(application, "/ecosystems.txt", headers=headers)[0] == 401


def test_head_has_no_body(application: mirror.Mirror) -> None:
    """HEAD tells the length and sends nothing; other methods are refused."""
    status, headers, body = ask(application, "/ecosystems.txt", method="HEAD")
    assert (status, headers[b"content-length"], body) == (200, b"8", b"")
    assert ask(application, "/ecosystems.txt", method="POST")[0] == 405


@pytest.mark.parametrize(
    "path", ["/../secret", "/%2e%2e/secret", "//etc/passwd", "/advisories/../../secret", "/link"]
)
def test_nothing_outside_the_directory(tmp_path: Path, path: str) -> None:
    """Neither dots nor links lead out of a directory of advisories."""
    (tmp_path / "secret").write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    assert ask(mirror.Mirror(PASSWORD, [inside]), path)[0] == 404


def test_directory_comes_first(tmp_path: Path) -> None:
    """A directory of the site's adds paths and replaces shipped ones; its folders answer as folders."""
    (tmp_path / "alpine" / "v3.3").mkdir(parents=True)
    (tmp_path / "ecosystems.txt").write_text("PyPI\n")
    both = mirror.Mirror(PASSWORD, [tmp_path])
    assert ask(both, "/alpine/v3.3/", method="HEAD")[0] == 200
    assert ask(both, "/alpine/v3.4/", method="HEAD")[0] == 404
    assert ask(both, "/ecosystems.txt")[2] == b"PyPI\n"
    assert ask(both, "/debian/dists/")[0] == 200
