# SPDX-License-Identifier: Apache-2.0
"""A loopback web server with the advisories that ship with sifgate, in the layout that Clair's updaters ask for.

Layout (clair.md §5.4): `debian/dists/` and `debian/dists/NAME/Release`, `tracker/data/json`, `ecosystems.txt`,
`ECOSYSTEM/all.zip`; further directories may add `alpine/`, `rhel-vex/`, `nvd/`. HTTPS with a certificate that Clair
trusts, and a password: whoever takes over the port can feed Clair nothing.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import hmac
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec

DATA = Path(__file__).parent / "data"
USER = "clair"
_Send = Callable[[dict[str, Any]], Awaitable[None]]


class Source(msgspec.Struct, frozen=True):
    """One shipped file of advisories."""

    file: str
    as_of: datetime


class Shipped(msgspec.Struct, frozen=True):
    """What `data/advisories.json` says."""

    sources: dict[str, Source]
    debian_releases: dict[str, str]


class Page(msgspec.Struct, frozen=True):
    """What is served under one path."""

    content: bytes
    modified: datetime


def shipped() -> Shipped:
    """Return the list of shipped advisories: updater name, file, date."""
    return msgspec.json.decode((DATA / "advisories.json").read_bytes(), type=Shipped)


def builtin_pages() -> dict[str, Page]:
    """Return the pages of the shipped advisories by path, dated by their data (Clair compares that date)."""
    known = shipped()
    newest = max(source.as_of for source in known.sources.values())
    releases = known.debian_releases
    listing = "".join(f'<a href="{name}/">{name}/</a>\n' for name in releases)
    pages = {"debian/dists/": Page(f"<html><body>{listing}</body></html>\n".encode(), newest)}
    for name, version in releases.items():
        text = f"Origin: Debian\nLabel: Debian\nSuite: {name}\nVersion: {version}\nCodename: {name}\n"
        pages[f"debian/dists/{name}/Release"] = Page(text.encode(), newest)
    ecosystems = []
    for source in known.sources.values():
        content = (DATA / source.file).read_bytes()
        if source.file.endswith(".gz"):
            pages["tracker/data/json"] = Page(gzip.decompress(content), source.as_of)
        else:
            ecosystem = Path(source.file).stem
            ecosystems.append(ecosystem)
            pages[f"{ecosystem}/all.zip"] = Page(content, source.as_of)
    pages["ecosystems.txt"] = Page("".join(f"{name}\n" for name in ecosystems).encode(), newest)
    return pages


class Mirror:
    """The ASGI application; directories come before the shipped pages."""

    def __init__(self, password: str, directories: Sequence[Path] = ()) -> None:
        expected = base64.b64encode(f"{USER}:{password}".encode())
        self._authorization = b"Basic " + expected
        self._directories = [directory.resolve() for directory in directories]
        self._pages = builtin_pages()

    async def __call__(self, scope: dict[str, Any], receive: object, send: _Send) -> None:
        """Answer one request."""
        del receive
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._authorization):
            await _answer(send, 401)
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405)
            return
        page = self.find(urllib.parse.unquote(scope["path"]).lstrip("/"))
        if page is None:
            await _answer(send, 404)
            return
        await _serve(send, page, headers, body=scope["method"] == "GET")

    def find(self, path: str) -> Page | None:
        """Return the page of a path, None if there is none."""
        for directory in self._directories:
            page = _from_directory(directory, path)
            if page:
                return page
        return self._pages.get(path)


def _from_directory(directory: Path, path: str) -> Page | None:
    file = (directory / path).resolve()
    if not file.is_relative_to(directory):
        return None
    if file.is_dir() and path.endswith("/"):
        index = file / "index.html"
        content = index.read_bytes() if index.is_file() else b""
    elif file.is_file():
        content = file.read_bytes()
    else:
        return None
    return Page(content, datetime.fromtimestamp(file.stat().st_mtime, timezone.utc))


async def _serve(send: _Send, page: Page, headers: dict[bytes, bytes], *, body: bool) -> None:
    tag = f'"{hashlib.sha256(page.content).hexdigest()[:32]}"'
    modified = format_datetime(page.modified.astimezone(timezone.utc), usegmt=True)
    fields = {"etag": tag, "last-modified": modified, "content-length": str(len(page.content))}
    same = (
        headers.get(b"if-none-match") == tag.encode()
        or headers.get(b"if-modified-since") == modified.encode()
    )
    if same:
        del fields["content-length"]
        await _answer(send, 304, fields)
        return
    await _answer(send, 200, fields, page.content if body else b"")


async def _answer(send: _Send, status: int, fields: dict[str, str] | None = None, body: bytes = b"") -> None:
    pairs = [(key.encode(), value.encode()) for key, value in (fields or {"content-length": "0"}).items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="sifgate-mirror", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--tls-cert", required=True)
    parser.add_argument("--tls-key", required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--directory", type=Path, action="append", default=[], help="further advisories")
    options = parser.parse_args(argv)
    application = Mirror(options.password_file.read_text().strip(), options.directory)
    uvicorn.run(
        application, host="127.0.0.1", port=options.port, ssl_certfile=options.tls_cert, ssl_keyfile=options.tls_key,
        lifespan="off", access_log=False, log_level="warning", server_header=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
