# SPDX-License-Identifier: Apache-2.0
"""What the server gives back as evidence: records in pages and streams, verdicts and policies by digest; over HTTPS."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from testbed import filetrees
from tests.integration.server.site import TOKENS, Site, slim_of
from tests.integration.server.test_http_api import record

from sifgate.audit.record import AuditRecord, ReasonLine
from sifgate.cli import site as cli_site
from sifgate.config import ServerSettings
from sifgate.errors import ConfigError, ServerUnreachable
from sifgate.policy.load import load_with_sources, policy_of
from sifgate.policy.sources import PolicySources

pytestmark = pytest.mark.engine
POLICY = "schema: sifgate.policy/v1\nmode: enforce\nrules:\n  - {id: kev, when: {kev: true}, action: block}\n"
EXCEPTION = """\
schema: sifgate.exceptions/v1
exceptions:
  - id: openssl-2026
    vulnerability: CVE-2026-0001
    reason: not reachable
    author: alice
    approved_by: bob
    ticket: SEC-1
    created: 2026-01-01
    expires: 2026-03-01
"""


def client(site: Site, role: str = "viewer") -> cli_site.Site:
    """Return the command line's client of a server."""
    settings = ServerSettings(url=site.url, certificate_file=site.files.tls_cert)
    return cli_site.Site(settings, TOKENS[role])


def post(site: Site, *records: AuditRecord) -> int:
    """Send records as a node and return how many were new."""
    answer = site.ask("POST", "/v1/launches", data=msgspec.json.encode({"records": records}))
    assert answer.status_code == 200, answer.text
    return int(answer.json()["stored"])


def test_the_command_line_pages_through_everything(site: Site) -> None:
    """Filters reach the server, pages are put together, the limit holds."""
    reasons = (ReasonLine("kev", "block", "one", 1, ("CVE-2024-3094 xz-utils 5.6.0",)),)
    records = [
        record(each, user="paged", job=each, account="phys", reasons=reasons, image="/a/x.sif")
        for each in range(50)
    ]
    assert post(site, *records) == 50
    asked = client(site)
    found = list(
        asked.launches({"user": "paged", "cve": "CVE-2024-3094", "rule": "kev", "job": ""}, limit=10_000)
    )
    assert found == records[::-1]
    assert list(asked.launches({"account": "phys", "image": "x.sif", "user": "paged"}, limit=7)) == found[:7]
    first = site.ask("GET", "/v1/launches?user=paged&limit=30", role="viewer").json()
    rest = site.ask("GET", f"/v1/launches?user=paged&limit=30&cursor={first['cursor']}", role="viewer").json()
    assert [len(first["records"]), len(rest["records"]), rest["cursor"]] == [30, 20, ""]


def test_an_export_streams_the_bytes_that_were_sent(site: Site) -> None:
    """Also of fields that this version does not know: replay and chain need the very line."""
    line = b'{"id": "feed1", "time":"2031-01-01T00:00:00.000Z","node":"n","door":"cli","action":"allow","new_field": 1}'
    assert site.ask("POST", "/v1/launches", data=b'{"records":[' + line + b"]}").json() == {"stored": 1}
    for order in ("verdict", "time"):
        assert list(client(site).export("2031-01-01", "2031-01-02", order=order)) == [line]
    assert list(client(site).export("2032-01-01")) == []


def test_a_client_that_leaves_an_export_frees_its_place(site: Site) -> None:
    """Ten exports that are broken off one after the other; the next one is served all the same."""
    post(
        site,
        *(record(each, user="left", time="2030-01-01T00:00:00Z", detail="x" * 1000) for each in range(3000)),
    )
    for _ in range(10):
        stream = client(site).export("2030-01-01", "2030-01-02")
        assert b"left" in next(stream)
        stream.close()
        wait_for_places(site)
    assert len(list(client(site).export("2030-01-01", "2030-01-02"))) == 3000


def wait_for_places(site: Site) -> None:
    """Wait until the server has noticed that the client is gone."""
    ended = threading.Event()
    for _ in range(200):
        if site.ask("GET", "/v1/launches/export?since=2033-01-01", role="viewer").status_code == 200:
            return
        ended.wait(0.05)
    pytest.fail("the places of exports that were broken off are never free again")


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "until=%00", "order=size", "since=9999-12-31T23:59:59-23:59"],
)
def test_bad_exports(site: Site, query: str) -> None:
    """400 before anything is streamed."""
    answer = site.ask("GET", f"/v1/launches/export?{query}", role="viewer")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    with pytest.raises(ConfigError, match="not an ISO time"):
        list(client(site).export("yesterday"))


def test_records_that_would_stop_a_shipper_for_good_are_refused_as_such(site: Site) -> None:
    """No time, no time that exists: 400; words of any length: stored, and found by their beginning."""
    for time in ("", "soon", "0001-01-01T00:00:00+23:59"):
        body = msgspec.json.encode({"records": [record(1, time=time)]})
        assert site.ask("POST", "/v1/launches", data=body).status_code == 400
    long = record(
        9, time="2029-01-01T00:00:00Z", user="u" * 9000, account="a" * 9000, image="i" * 9000, node="n" * 9000
    )
    assert post(site, long) == 1
    assert list(client(site).launches({"user": "u" * 256})) == [long]


def test_a_verdict_is_served_by_its_digest_for_good(site: Site, tmp_path: Path) -> None:
    """The canonical bytes with their digest as ETag, unchanging; 304 to who has it; 404 for what was never made."""
    slim = slim_of(filetrees.bullseye_min(), tmp_path)
    site.judged(slim)
    digest = site.get(slim.fingerprint).headers["ETag"].strip('"')
    answer = site.ask("GET", f"/v1/verdicts/by-digest/{digest}", role="viewer")
    assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == digest
    assert "immutable" in answer.headers["Cache-Control"]
    have = {"If-None-Match": f'"{digest}"'}
    assert site.ask("GET", f"/v1/verdicts/by-digest/{digest}", role="viewer", headers=have).status_code == 304
    assert client(site).verdict(digest) == answer.content
    assert client(site).verdict("sha256:" + "0" * 64) is None
    assert site.ask("GET", f"/v1/verdicts/by-digest/{digest}").status_code == 403


def sources(directory: Path) -> tuple[bytes, str]:
    """Return a policy's sources as a node would send them, and its digest."""
    directory.mkdir(exist_ok=True)
    (directory / "exceptions.d").mkdir(exist_ok=True)
    (directory / "policy.yaml").write_text(POLICY + "exceptions: {directory: exceptions.d}\n")
    (directory / "exceptions.d" / "a.yaml").write_text(EXCEPTION)
    found, policy = load_with_sources(directory / "policy.yaml")
    return msgspec.json.encode(found), policy.digest


def test_a_policy_comes_back_as_the_files_it_was(site: Site, tmp_path: Path) -> None:
    """Stored once, by the digest of what it means; loaded again it is the same policy, exceptions included."""
    body, digest = sources(tmp_path / "one")
    for status, stored in ((201, True), (200, False)):
        answer = site.ask("PUT", f"/v1/policies/{digest}", data=body)
        assert (answer.status_code, answer.json()) == (status, {"stored": stored})
    back = client(site).policy(digest)
    assert back is not None
    again = msgspec.json.decode(back, type=PolicySources)
    assert policy_of(again).digest == digest
    assert len(policy_of(again).exceptions) == 1
    assert client(site).policy("sha256:" + "0" * 64) is None
    with psycopg.connect(site.files.dsn) as connection:
        assert connection.execute("SELECT sender FROM policies WHERE digest = %s", (digest,)).fetchone() == (
            "node",
        )


def test_sources_that_are_not_the_policy_they_name_are_refused(site: Site, tmp_path: Path) -> None:
    """Another digest, broken YAML, no JSON, no files: 400 with a reason, and nothing is stored."""
    body, digest = sources(tmp_path / "two")
    other = "sha256:" + "1" * 64
    broken = msgspec.json.decode(body)
    broken["files"][0]["content"] = "cnVsZXM6IFs="
    cases: list[tuple[str, bytes, str]] = [
        (other, body, "policy_rejected"),
        (other, msgspec.json.encode(broken), "policy_invalid"),
        (other, b"nope", "bad_request"),
        (other, b'{"files": []}', "policy_invalid"),
        (other, b"\xff", "bad_request"),
    ]
    for name, content, code in cases:
        answer = site.ask("PUT", f"/v1/policies/{name}", data=content)
        assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
        assert site.ask("GET", f"/v1/policies/{name}").status_code == 404
    assert site.ask("PUT", f"/v1/policies/{digest}", role="viewer", data=body).status_code == 403


@pytest.mark.parametrize(
    ("token", "error"), [("nobody", "refuses this token"), ("node-token", "refuses this token")]
)
def test_a_token_that_may_not_is_told_so(site: Site, token: str, error: str) -> None:
    """The command line says which role is needed."""
    settings = ServerSettings(url=site.url, certificate_file=site.files.tls_cert)
    with pytest.raises(ServerUnreachable, match=error):
        list(cli_site.Site(settings, token).launches({}))


def test_a_client_without_server_or_token_says_what_to_do(tmp_path: Path, site: Site) -> None:
    """Settings that name no server, and a token file that cannot be read."""
    with pytest.raises(ConfigError, match="no server is named"):
        cli_site.Site(ServerSettings())
    with pytest.raises(ConfigError, match="token cannot be read"):
        cli_site.Site(ServerSettings(url=site.url, token_file=tmp_path / "none"))
    nowhere = ServerSettings(url="https://127.0.0.1:9", certificate_file=site.files.tls_cert)
    with pytest.raises(ServerUnreachable):
        list(cli_site.Site(nowhere, "x").export())


def test_a_filter_that_nobody_knows_is_ignored_no_more_than_a_bad_one(site: Site) -> None:
    """A bad value is 400 at every filter, and so is a cursor that was made up."""
    bad: list[dict[str, Any]] = [
        {"cursor": "x"},
        {"limit": 0},
        {"until": "never"},
        {"rule": "\x1b[2J"},
        {"job": "x"},
    ]
    for query in bad:
        answer = site.ask("GET", "/v1/launches", role="viewer", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), query
