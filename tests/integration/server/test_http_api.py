# SPDX-License-Identifier: Apache-2.0
"""HTTP API v1 of docs/protocol.md §2: who may, what comes in, what is refused."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from testbed import filetrees
from tests.fakes import clair as fakes
from tests.integration.server.conftest import Faulty
from tests.integration.server.site import MEDIA_TYPE, Site, Slim, eventually, slim_of

from sifgate.audit.record import AuditRecord
from sifgate.clair.exchange import Address, Exchange
from sifgate.errors import ClairUnavailable
from sifgate.image.fingerprint import fingerprint
from sifgate.model.decision import Action, Decision
from sifgate.model.image import CoverageFacts

pytestmark = pytest.mark.engine
NOBODY = "0" * 64


@pytest.fixture(scope="module")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Slim:
    """A slim layer that the real Clair knows nothing bad of."""
    return slim_of(filetrees.trixie(), tmp_path_factory.mktemp("slim"))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", f"/v1/verdicts/{NOBODY}", {"node", "viewer"}),
        ("PUT", f"/v1/layers/{NOBODY}", {"node"}),
        ("POST", "/v1/steps", {"node"}),
        ("POST", "/v1/launches", {"node"}),
        ("GET", "/v1/launches", {"viewer"}),
        ("GET", "/v1/launches/export?since=2033-01-01", {"viewer"}),
        ("GET", f"/v1/verdicts/by-digest/{NOBODY}", {"viewer"}),
        ("PUT", f"/v1/policies/{NOBODY}", {"node"}),
        ("GET", f"/v1/policies/{NOBODY}", {"node", "viewer"}),
        ("POST", "/v1/heads", {"node"}),
        ("GET", "/v1/heads", {"node", "viewer"}),
        ("GET", "/v1/heads/key", {"node", "viewer"}),
        ("GET", "/v1/status", {"node", "viewer"}),
    ],
)
def test_roles(site: Site, method: str, path: str, allowed: set[str]) -> None:
    """401 without a token, 403 with the wrong role, neither with the right one; admin may everything."""
    assert site.ask(method, path, role="").status_code == 401
    for token in ("wrong", "", "viewer-token "):
        answer = site.ask(method, path, role="", headers={"Authorization": f"Bearer {token}x"})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert site.ask(method, path, role="", headers={"Authorization": "Basic node-token"}).status_code == 401
    for role in ("node", "viewer", "admin"):
        status = site.ask(method, path, role=role).status_code
        assert (status == 403) == (role not in allowed | {"admin"})
        assert status != 401


def test_only_our_certificate_is_believed(site: Site, tmp_path: Path) -> None:
    """A client that trusts another certificate does not talk to this server, and plain HTTP gets no answer."""
    other = tmp_path / "other.pem"
    other.write_text(ssl.get_server_certificate(("127.0.0.1", int(site.url.rpartition(":")[2]))))
    assert other.read_text().strip() in site.files.tls_cert.read_text()
    plain = site.url.replace("https", "http")
    with pytest.raises(ClairUnavailable):
        Exchange(Address(url=plain)).send("GET", "/v1/status", seconds=5)


def test_an_unknown_fingerprint_asks_for_the_layer(site: Site) -> None:
    """404 and what to do; no fingerprint at all is 400."""
    answer = site.get(NOBODY, wait=5)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown")
    for bad in ("x" * 64, "A" * 64, "0" * 63, "..%2f..%2fetc"):
        assert site.get(bad).status_code in {400, 404}
        assert site.get(bad).json()["code"] in {"bad_request", "unknown"}
    assert site.ask("GET", f"/v1/verdicts/{NOBODY}?wait=long").json()["code"] == "bad_request"


def test_a_verdict_has_an_address(site: Site, slim: Slim) -> None:
    """Body and ETag belong together, compressed or not; who has it is told so."""
    site.judged(slim)
    plain = site.ask("GET", f"/v1/verdicts/{slim.fingerprint}", headers={"Accept-Encoding": "identity"})
    packed = site.get(slim.fingerprint)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.content == packed.content
    assert plain.headers["ETag"] == f'"sha256:{hashlib.sha256(plain.content).hexdigest()}"'
    again = site.ask(
        "GET", f"/v1/verdicts/{slim.fingerprint}", headers={"If-None-Match": plain.headers["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_compressed_uploads(site: Site, tmp_path: Path) -> None:
    """Content-Encoding zstd is undone; a second upload of what is known is told so."""
    slim = slim_of(filetrees.bookworm_min(), tmp_path)
    headers = {"Content-Type": MEDIA_TYPE, "Content-Encoding": "zstd"}
    body = zstandard.compress(slim.envelope())
    assert site.ask("PUT", f"/v1/layers/{slim.fingerprint}", data=body, headers=headers).status_code == 202
    site.verdict(slim.fingerprint)
    assert site.ask("PUT", f"/v1/layers/{slim.fingerprint}", data=body, headers=headers).status_code == 200


BAD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "no length": b"\0\0",
    "length past the end": (1000).to_bytes(8, "big") + b"{}",
    "huge length": (1 << 60).to_bytes(8, "big") + b"{}",
    "no JSON": (4).to_bytes(8, "big") + b"nope",
    "not UTF-8": (2).to_bytes(8, "big") + b"\xff\xfe",
    "no members": (2).to_bytes(8, "big") + b"{}",
}


@pytest.mark.parametrize("name", sorted(BAD_BODIES))
def test_bodies_that_are_no_envelope(site: Site, name: str) -> None:
    """Each is refused with a reason, and nothing is queued."""
    answer = site.ask(
        "PUT", f"/v1/layers/{NOBODY}", data=BAD_BODIES[name], headers={"Content-Type": MEDIA_TYPE}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "layer_rejected")
    assert site.get(NOBODY).status_code == 404


def test_layers_that_are_not_what_they_say(site: Site, tmp_path: Path) -> None:
    """Another digest, size, version, fact or fingerprint, and damaged compression: refused, nothing is queued."""
    slim = slim_of(filetrees.bullseye_min(), tmp_path)
    found = slim.extraction
    for changes in (
        {"layer_digest": "sha256:" + "0" * 64},
        {"layer_digest": "md5:x"},
        {"layer_size": found.layer_size - 1},
        {"layer_size": -1},
        {"slim_version": found.slim_version + 1},
        {"facts": CoverageFacts()},
    ):
        answer = site.put(slim, **changes)
        assert (answer.status_code, answer.json()["code"]) == (400, "layer_rejected"), changes
    headers = {"Content-Type": MEDIA_TYPE, "Content-Encoding": "zstd"}
    answer = site.ask("PUT", f"/v1/layers/{slim.fingerprint}", data=slim.envelope(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "layer_rejected")
    assert site.ask("PUT", f"/v1/layers/{slim.fingerprint}", data=slim.envelope()).status_code == 400
    assert site.get(slim.fingerprint).status_code == 404


def test_a_layer_that_no_worker_would_make_is_refused(site: Site, slim: Slim) -> None:
    """Digest and fingerprint fit, but the bytes are not canonical, or no tar at all: the sandboxed check says no."""
    for tar in (b"no tar at all", slim.tar + b"\0" * 512, b"\0" * 1024, slim.tar[: len(slim.tar) // 2]):
        digest = f"sha256:{hashlib.sha256(tar).hexdigest()}"
        facts = slim.extraction.facts
        extraction = msgspec.structs.replace(
            slim.extraction,
            fingerprint=fingerprint(slim.extraction.slim_version, digest, facts),
            layer_digest=digest,
            layer_size=len(tar),
        )
        forged = Slim(extraction=extraction, tar=tar)
        answer = site.put(forged)
        assert (answer.status_code, answer.json()["code"]) == (400, "layer_rejected")
        assert site.get(forged.fingerprint).status_code == 404


def test_uploads_are_bounded(faulty: Faulty, slim: Slim) -> None:
    """Past the bound: 413, whether announced, sent, or hidden in compression; nothing stays on disk."""
    site = faulty.start("--largest-layer", "1")
    headers = {"Content-Type": MEDIA_TYPE}
    path = f"/v1/layers/{slim.fingerprint}"
    big = b"\0" * (6 << 20)
    assert site.ask("PUT", path, data=big, headers=headers).status_code == 413
    assert site.ask("PUT", path, data=(big[:65536] for _ in range(96)), headers=headers).status_code == 413
    bomb = zstandard.compress(b"\0" * (64 << 20))
    packed = site.ask("PUT", path, data=bomb, headers={**headers, "Content-Encoding": "zstd"})
    assert (packed.status_code, packed.json()["code"]) == (413, "too_large")
    assert site.put(slim, layer_size=2 << 20).status_code == 413
    assert list((faulty.files.state / "layers").iterdir()) == []


def test_a_half_sent_upload_leaves_nothing(faulty: Faulty, slim: Slim) -> None:
    """A node that goes away in the middle: nothing is queued, nothing stays, the server goes on."""
    site = faulty.start()
    host, port = "127.0.0.1", int(site.url.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(faulty.files.tls_cert))
    with (
        socket.create_connection((host, port)) as raw,
        context.wrap_socket(raw, server_hostname=host) as stream,
    ):
        head = (
            f"PUT /v1/layers/{slim.fingerprint} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer node-token\r\n"
        )
        stream.sendall(
            f"{head}Content-Type: {MEDIA_TYPE}\r\nContent-Length: 99999\r\n\r\n".encode()
            + slim.envelope()[:100]
        )
    assert site.get(slim.fingerprint).status_code == 404
    assert list((faulty.files.state / "layers").iterdir()) == []
    assert site.judged(slim).findings


def test_layers_are_for_clair_alone(faulty: Faulty, slim: Slim) -> None:
    """The address of a layer in hand-out opens by its secret only, and for the time of the scan only."""
    site = faulty.start()
    gate = threading.Event()
    seen: dict[str, Any] = {}

    def index(handler: fakes.Handler) -> None:
        seen.update(json.loads(handler.body)["layers"][0])
        gate.wait(20)
        fakes.index(handler)

    faulty.clair.acts["index"].append(index)
    site.put(slim)
    eventually(lambda: "uri" in seen)
    path = seen["uri"].removeprefix(site.url)
    (header,) = seen["headers"]
    for role in ("", "node", "admin"):
        assert site.ask("GET", path, role=role).status_code == 404
        assert site.ask("GET", path, role=role, headers={header: "wrong"}).status_code == 404
    (secret,) = seen["headers"][header]
    answer = site.ask("GET", path, role="", headers={header: secret})
    assert (answer.content, answer.headers["Content-Type"]) == (
        slim.tar,
        "application/vnd.oci.image.layer.v1.tar",
    )
    gate.set()
    site.verdict(slim.fingerprint)
    assert site.ask("GET", path, role="", headers={header: secret}).status_code == 404


def test_large_layers_are_dropped_once_indexed(faulty: Faulty, tmp_path: Path) -> None:
    """Past 8 MiB compressed the bytes live in the directory until Clair has them."""
    noise = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(300_000))
    slim = slim_of({**filetrees.trixie(), "opt/x.jar": noise}, tmp_path)
    site = faulty.start()
    gate = threading.Event()
    faulty.clair.acts["index"].append(fakes.held(gate, fakes.index))
    assert site.put(slim).status_code == 202
    eventually(lambda: faulty.clair.count("index") == 1)
    stored = faulty.files.state / "layers" / slim.fingerprint
    assert stored.read_bytes() == slim.tar
    assert stored.stat().st_mode & 0o077 == 0
    gate.set()
    site.verdict(slim.fingerprint)
    assert not stored.exists()


def test_the_first_decision_of_a_step_is_kept(site: Site) -> None:
    """Forty nodes with different decisions at once: all get the same one; another policy has its own."""

    def post(number: int, policy: str = "p1") -> bytes:
        decision = Decision(action=Action.BLOCK, would_be=Action.BLOCK, suppressed=number)
        ask = {"job": 4711, "step": 0, "fingerprint": NOBODY, "policy_digest": policy, "decision": decision}
        answer = site.ask("POST", "/v1/steps", data=msgspec.json.encode(ask))
        assert answer.status_code == 200
        return answer.content

    with ThreadPoolExecutor(20) as pool:
        kept = set(pool.map(post, range(40)))
    assert len(kept) == 1
    assert msgspec.json.decode(kept.pop(), type=Decision).action is Action.BLOCK
    assert msgspec.json.decode(post(99, "p2"), type=Decision).suppressed == 99


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"job": 1}', b"\xff", b'{"records": [{}]}', b'{"records": 7}']
)
def test_bad_posts(site: Site, body: bytes) -> None:
    """Bodies that are not what is asked for: 400 with a reason."""
    for path in ("/v1/steps", "/v1/launches"):
        answer = site.ask("POST", path, data=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def record(number: int, **members: Any) -> AuditRecord:
    """Return an audit record."""
    given: dict[str, Any] = {
        "time": f"2026-01-02T03:04:{number:02d}.000Z",
        "node": "n1",
        "door": "spank",
        "action": "warn",
    }
    return AuditRecord(id=f"{number:026x}", **{**given, **members})


def test_launches_are_stored_once_and_found(site: Site, tmp_path: Path) -> None:
    """A batch sent twice is stored once; records are found by user, job, time, and by CVE through their verdict."""
    verdict = (
        site.get(site.judged(slim_of(filetrees.bullseye_min(), tmp_path)).fingerprint)
        .headers["ETag"]
        .strip('"')
    )
    records = [
        record(1, user="alice", uid=1000, job=7, verdict=verdict),
        record(2, user="bob", uid=1001, job=8),
        record(3, user="alice", uid=1000, job=9),
    ]
    body = msgspec.json.encode({"records": records})
    assert site.ask("POST", "/v1/launches", data=body).json() == {"stored": 3}
    assert site.ask("POST", "/v1/launches", data=body).json() == {"stored": 0}

    def found(query: str) -> list[int]:
        answer = site.ask("GET", f"/v1/launches?{query}", role="viewer")
        assert answer.status_code == 200, answer.text
        return [int(entry["id"], 16) for entry in answer.json()["records"]]

    assert found("") == [3, 2, 1]
    assert found("user=alice") == [3, 1]
    assert found("job=8") == [2]
    assert found("cve=cve-2022-1304") == [1]
    assert found("cve=CVE-1999-0001") == []
    assert found("since=2026-01-02T03:04:02Z") == [3, 2]
    assert found("since=2026-01-03") == []
    assert found("limit=1") == [3]
    assert found("user=alice&job=7&limit=10") == [1]
    whole = site.ask("GET", "/v1/launches?job=7", role="viewer").json()["records"][0]
    assert msgspec.convert(whole, AuditRecord) == records[0]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "job=-1", "since=yesterday", "user=%00", "cve=%1b[2J", "job=99999999999999999999"],
)
def test_bad_queries(site: Site, query: str) -> None:
    """Questions that cannot be meant: 400."""
    answer = site.ask("GET", f"/v1/launches?{query}", role="viewer")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_status_tells_versions_advisories_and_queue(site: Site) -> None:
    """What an administrator wants to see at a glance."""
    found = site.ask("GET", "/v1/status", role="viewer").json()
    assert found["clair"]["reachable"]
    assert found["clair"]["version"] == "v4.9.0"
    assert "debian/updater" in found["advisories"]["updaters"]
    assert found["advisories"]["kev"] == 1404
    assert found["generation"]["id"]
    assert set(found["queue"]) <= {"queued", "running", "done", "wanted", "quarantined"}


def test_unknown_addresses_have_the_same_shape(site: Site) -> None:
    """No page, no traceback: code and message."""
    for path in ("/", "/docs", "/openapi.json", "/v1/nothing", "/v1/handout/x"):
        assert set(site.ask("GET", path).json()) == {"code", "message"}
    assert site.ask("DELETE", f"/v1/verdicts/{NOBODY}").json()["code"] == "method_not_allowed"
