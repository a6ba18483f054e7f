# SPDX-License-Identifier: Apache-2.0
"""A Clair for faults that the real one does not produce on demand: speaks its HTTP API, steered by what tests put in.

It fetches the layer as the real one does and checks its digest; everything else it knows from `report`.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

Act = Callable[["Handler"], None]


class FakeClair:
    """What the fake does: `acts` by route (`index`, `report`, `operations`, `state`) are used up first."""

    def __init__(self, certificate: str = "") -> None:
        self.certificate = certificate
        self.acts: dict[str, deque[Act]] = defaultdict(deque)
        self.always: dict[str, Act] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.indexed: dict[str, str] = {}
        self.fetched: list[str] = []
        self.operations: dict[str, dict[str, str]] = {
            "vulnerability": {"debian/updater": "ref-1", "osv/pypi": "ref-2"},
            "enrichment": {},
        }
        self.index_state = "state-1"
        self.report: dict[str, Any] = debian_report()
        self.url = ""

    def count(self, route: str) -> int:
        """Return how often a route was asked."""
        return sum(name == route for name, _ in self.seen)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    fake: FakeClair
    body: bytes

    def do_POST(self) -> None:
        """Index."""
        self.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._dispatch("index", index)

    def do_GET(self) -> None:
        """Report, operations or state."""
        for part, route, act in (
            ("/vulnerability_report/", "report", report),
            ("/update_operation", "operations", operations),
            ("/index_state", "state", state),
        ):
            if part in self.path:
                return self._dispatch(route, act)
        return answer(404, {"code": "not-found", "message": "page not found"})(self)

    def _dispatch(self, route: str, usual: Act) -> None:
        self.fake.seen.append((route, dict(self.headers)))
        acts = self.fake.acts[route]
        act = acts.popleft() if acts else self.fake.always.get(route, usual)
        act(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def answer(status: int, value: object = None, *, raw: bytes | None = None, etag: str = "") -> Act:
    """Return an act that answers with JSON, or with bytes as they are."""

    def act(handler: Handler) -> None:
        body = raw if raw is not None else b"" if value is None else json.dumps(value).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        handler.wfile.write(body)

    return act


def error(status: int, message: str) -> Act:
    """Return an act that answers as Clair's error handler does."""
    return answer(status, {"code": "internal-error", "message": message})


def truncated(status: int) -> Act:
    """Return an act that breaks off in the middle of a chunked body, as Clair's limiter does (clair.md §1.2)."""

    def act(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b'20\r\n{"code":"too-many-requests","mes\r\n')
        handler.close_connection = True

    return act


def cut(handler: Handler) -> None:
    """End the connection without a word, as a Clair that dies does."""
    handler.close_connection = True


def dripping(seconds: float) -> Act:
    """Return an act that sends its body byte by byte for so long."""

    def act(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                handler.wfile.write(b" ")
            except OSError:
                break
            time.sleep(0.02)
        handler.close_connection = True

    return act


def held(gate: threading.Event, then: Act) -> Act:
    """Return an act that waits for `gate`, at most half a minute, and then does `then`."""

    def act(handler: Handler) -> None:
        gate.wait(30)
        then(handler)

    return act


def index(handler: Handler) -> None:
    """Fetch the layer, check it, remember the manifest."""
    manifest = json.loads(handler.body)
    layer = manifest["layers"][0]
    headers = {name: values[0] for name, values in layer["headers"].items()}
    content = requests.get(
        layer["uri"], headers=headers, timeout=10, verify=handler.fake.certificate or True
    ).content
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest != layer["hash"]:
        return error(500, f"failed to start scan: fetcher: validation failed: got {digest!r}")(handler)
    handler.fake.fetched.append(digest)
    handler.fake.indexed[manifest["hash"]] = digest
    document = {
        "manifest_hash": manifest["hash"],
        "state": "IndexFinished",
        "success": True,
        "err": "",
        "environments": {},
    }
    return answer(201, document)(handler)


def report(handler: Handler) -> None:
    """Answer with the report of an indexed manifest."""
    manifest = handler.path.rpartition("/")[2]
    if manifest not in handler.fake.indexed:
        return error(404, "index report not found")(handler)
    text = json.dumps({**handler.fake.report, "manifest_hash": manifest})
    return answer(200, json.loads(text.replace("@LAYER@", handler.fake.indexed[manifest])))(handler)


def operations(handler: Handler) -> None:
    """Answer with the newest operations, or 304."""
    kind = "enrichment" if "kind=enrichment" in handler.path else "vulnerability"
    newest = handler.fake.operations[kind]
    etag = f'"{max(newest.values(), default="none")}"'
    if handler.headers.get("If-None-Match") == etag:
        return answer(304)(handler)
    document = {
        name: [{"ref": ref, "updater": name, "fingerprint": "", "date": "2026-01-02T03:04:05Z", "kind": kind}]
        for name, ref in newest.items()
    }
    return answer(200, document, etag=etag)(handler)


def state(handler: Handler) -> None:
    """Answer with the index state."""
    answer(200, {"state": handler.fake.index_state})(handler)


def debian_report() -> dict[str, Any]:
    """Return a report on one Debian package with one known-exploited vulnerability."""
    package = {"id": "1", "name": "git", "version": "1:2.30.2-1", "kind": "binary", "arch": "amd64"}
    return {
        "packages": {
            "1": {**package, "source": {"id": "2", "name": "git", "version": "1:2.30.2-1", "kind": "source"}}
        },
        "distributions": {
            "9": {
                "id": "9",
                "did": "debian",
                "name": "Debian GNU/Linux",
                "version": "11 (bullseye)",
                "version_code_name": "bullseye",
                "version_id": "11",
                "pretty_name": "Debian GNU/Linux 11 (bullseye)",
            }
        },
        "repository": {},
        "environments": {
            "1": [
                {
                    "package_db": "var/lib/dpkg/status",
                    "introduced_in": "@LAYER@",
                    "distribution_id": "9",
                    "repository_ids": None,
                }
            ]
        },
        "vulnerabilities": {
            "77": {
                "id": "77",
                "updater": "debian/updater",
                "name": "CVE-2025-48384",
                "issued": "2025-07-08T00:00:00Z",
                "links": "https://security-tracker.debian.org/tracker/CVE-2025-48384",
                "severity": "",
                "normalized_severity": "High",
                "fixed_in_version": "1:2.30.2-1+deb11u5",
            }
        },
        "package_vulnerabilities": {"1": ["77", "77"]},
        "enrichments": {},
    }


@contextmanager
def running(certificate: Path | None = None, key: Path | None = None) -> Iterator[FakeClair]:
    """Give a fake Clair on a free loopback port, with TLS if a certificate is given."""
    fake = FakeClair(str(certificate or ""))
    handler = type("OwnHandler", (Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    scheme = "http"
    if certificate and key:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    fake.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
