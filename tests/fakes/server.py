# SPDX-License-Identifier: Apache-2.0
"""A steerable server for the agent's tests: real HTTPS, real sockets, the answers of docs/protocol.md §2."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sifgate.config import ServerSettings
from sifgate.model.finding import Finding, Severity
from sifgate.model.verdict import Coverage, Generation, ScanState, Verdict

TOKEN = "node-token"


def make_certificate(directory: Path, name: str = "server") -> tuple[Path, Path]:
    """Return certificate and key files of a new self-signed certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / f"{name}.pem", directory / f"{name}.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    certificate_file.chmod(0o644)
    key_file.chmod(0o600)
    return certificate_file, key_file


def bad_verdict(fingerprint: str) -> Verdict:
    """Return a verdict with one fixable finding that is known to be exploited."""
    finding = Finding(
        vulnerability="CVE-2025-48384",
        package="git",
        version="1:2.30.2-1+deb11u2",
        severity=Severity.HIGH,
        fixed_version="1:2.30.2-1+deb11u5",
        kev=True,
        kev_added="2025-08-25",
        manager="dpkg",
    )
    return clean_verdict(fingerprint, (finding,))


def clean_verdict(fingerprint: str, findings: tuple[Finding, ...] = ()) -> Verdict:
    """Return a verdict of a supported distribution, without findings where none are given."""
    return Verdict(
        fingerprint=fingerprint,
        state=ScanState.KNOWN,
        findings=findings,
        coverage=Coverage(
            distribution="Debian GNU/Linux 11 (bullseye)", advisories=True, packages={"dpkg": 333}
        ),
        generation=Generation(id="generation-1"),
        scanned_at="2026-11-22T12:00:00Z",
    )


class FakeServer:
    """Serves on 127.0.0.1 until closed; tests set its public attributes."""

    def __init__(self, directory: Path) -> None:
        self.certificate, key = make_certificate(directory)
        self.token_file = directory / "token"
        self.token_file.write_text(TOKEN + "\n", encoding="ascii")
        self.token_file.chmod(0o600)
        self.verdicts: dict[str, bytes] = {}
        """Canonical bytes by fingerprint."""
        self.finding: Callable[[str], Verdict] = clean_verdict
        """Makes the verdict of a layer that is uploaded."""
        self.scan_seconds = 0.0
        """How long a scan takes."""
        self.clair_down = False
        self.corrupt = False
        """Whether verdicts are served with a byte changed."""
        self.refuse_layers = False
        self.steps: dict[tuple[Any, ...], Any] = {}
        self.records: dict[str, Any] = {}
        self.heads: list[Any] = []
        self.policies: dict[str, bytes] = {}
        self.refuse_policies = False
        self.contradicts = False
        """Whether heads are refused as another history."""
        self.calls: list[str] = []
        self.layers: dict[str, bytes] = {}
        self._ready: dict[str, float] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def settings(self) -> ServerSettings:
        """Return what the agent needs to know."""
        return ServerSettings(f"https://127.0.0.1:{self.port}", self.certificate, self.token_file)

    def know(self, verdict: Verdict) -> None:
        """Have a verdict."""
        self.verdicts[verdict.fingerprint] = msgspec.json.encode(verdict)

    def close(self) -> None:
        """Listen no more."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def get_verdict(self, fingerprint: str, wait: float) -> tuple[int, bytes, dict[str, str]]:
        """Answer `GET /v1/verdicts/…`."""
        if self.clair_down:
            return 503, b'{"code":"clair_unavailable","message":"Clair is away"}', {}
        ready = self._ready.get(fingerprint)
        if fingerprint not in self.verdicts and ready is not None:
            time.sleep(max(0.0, min(wait, ready - time.monotonic())))
            if time.monotonic() < ready:
                return 202, b'{"state":"pending"}', {}
            self.know(self.finding(fingerprint))
        body = self.verdicts.get(fingerprint)
        if body is None:
            return 404, b'{"code":"unknown","message":"upload the layer"}', {}
        etag = f'"sha256:{hashlib.sha256(body).hexdigest()}"'
        return 200, body[:-1] + b" " if self.corrupt else body, {"ETag": etag}

    def put_layer(self, fingerprint: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Answer `PUT /v1/layers/…`."""
        if self.refuse_layers:
            return 400, b'{"code":"layer_rejected","message":"not canonical"}', {}
        self.layers[fingerprint] = body
        with self._lock:
            self._ready.setdefault(fingerprint, time.monotonic() + self.scan_seconds)
        return 202, b'{"state":"pending"}', {}

    def post_step(self, content: Any) -> tuple[int, bytes, dict[str, str]]:
        """Answer `POST /v1/steps`."""
        key = tuple(content[name] for name in ("job", "step", "fingerprint", "policy_digest"))
        with self._lock:
            kept = self.steps.setdefault(key, content["decision"])
        return 200, json.dumps(kept).encode(), {}

    def post_launches(self, content: Any) -> tuple[int, bytes, dict[str, str]]:
        """Answer `POST /v1/launches`."""
        for record in content["records"]:
            self.records[record["id"]] = record
        return 200, json.dumps({"stored": len(content["records"])}).encode(), {}

    def post_head(self, content: Any) -> tuple[int, bytes, dict[str, str]]:
        """Answer `POST /v1/heads`."""
        if self.contradicts:
            return 409, b'{"code":"contradiction","message":"another head is known"}', {}
        self.heads.append(content)
        signed = {**content, "received": "2026-11-22T12:00:00Z", "key": "k1", "signature": "c2ln"}
        return 200, json.dumps(signed).encode(), {}

    def put_policy(self, digest: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Answer `PUT /v1/policies/…`."""
        if self.refuse_policies:
            return 400, b'{"code":"policy_invalid","message":"no policy of ours"}', {}
        self.policies[digest] = body
        return 200, b"{}", {}


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.calls.append(f"{self.command} {path.rpartition('/')[0] if path.count('/') > 2 else path}")
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer(401, b'{"code":"unauthorized","message":"token"}', {})
            elif path.startswith("/v1/verdicts/"):
                wait = float(query.partition("wait=")[2] or 0)
                self._answer(*server.get_verdict(path.rpartition("/")[2], wait))
            elif path.startswith("/v1/layers/"):
                self._answer(*server.put_layer(path.rpartition("/")[2], body))
            elif path == "/v1/steps":
                self._answer(*server.post_step(json.loads(body)))
            elif path == "/v1/heads":
                self._answer(*server.post_head(json.loads(body)))
            elif path.startswith("/v1/policies/"):
                self._answer(*server.put_policy(path.rpartition("/")[2], body))
            elif path == "/v1/launches":
                self._answer(*server.post_launches(json.loads(body)))
            else:
                self._answer(200, b"{}", {})

        do_GET = do_PUT = do_POST = _serve  # noqa: N815 - names of http.server

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
