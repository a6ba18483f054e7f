# SPDX-License-Identifier: Apache-2.0
"""Clair's refusals, each as the table of clair.md §1.7 wants it, over real HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import clair as fakes

from sifgate.clair import faults, token
from sifgate.clair.api import Clair, LayerSource
from sifgate.clair.exchange import Address, Exchange
from sifgate.clair.retry import Patience
from sifgate.errors import ClairUnavailable, ConfigError, ScanFailed, ScannerError

LAYER = "sha256:" + "a" * 64
MANIFEST = "sha256:" + "b" * 64
KEY = b"k" * 32
QUICK = Patience(index=1.0, report=1.0, probe=1.0, retry=0.6, first=0.02, most=0.05)
FINISHED = {"manifest_hash": MANIFEST, "state": "IndexFinished", "success": True, "err": ""}


@pytest.fixture
def fake() -> Iterator[fakes.FakeClair]:
    """Give a Clair that indexes whatever it is told to."""
    with fakes.running() as running:
        running.always["index"] = fakes.answer(201, FINISHED)
        yield running


def client(fake: fakes.FakeClair) -> Clair:
    """Return a client of the fake that loses patience quickly."""
    return Clair(Exchange(Address(url=fake.url, key=KEY)), QUICK, threading.Event())


def nowhere() -> LayerSource:
    """Return a layer that the fake does not fetch."""
    return LayerSource(uri="http://127.0.0.1:9/layer", headers={"X": ["secret"]})


def index(fake: fakes.FakeClair) -> str:
    """Index and return the state of the report."""
    return client(fake).index(MANIFEST, LAYER, nowhere).state


def test_indexing_sends_hash_layer_and_a_short_lived_token(fake: fakes.FakeClair) -> None:
    """The request carries what Clair wants, signed with the pre-shared key."""
    assert index(fake) == "IndexFinished"
    headers = fake.seen[0][1]
    head, claims, signature = headers["Authorization"].removeprefix("Bearer ").split(".")
    expected = hmac.digest(KEY, f"{head}.{claims}".encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(signature + "==") == expected
    content = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert content["iss"] == "sifgate"
    assert content["exp"] - content["iat"] == token.LIFE_SECONDS
    assert headers["Accept-Encoding"] == "gzip"


def test_busy_clair_is_asked_again(fake: fakes.FakeClair) -> None:
    """429 with a body that breaks off is a reason to wait, not an error."""
    fake.acts["index"].extend([fakes.truncated(429), fakes.truncated(429)])
    assert index(fake) == "IndexFinished"
    assert fake.count("index") == 3


def test_busy_until_the_deadline_is_not_an_outage_that_requesters_can_cause(fake: fakes.FakeClair) -> None:
    """A full Clair has its own error, so that the image stays pending."""
    fake.always["index"] = fakes.truncated(429)
    started = time.monotonic()
    with pytest.raises(faults.ClairBusy):
        index(fake)
    assert time.monotonic() - started < 5


def test_wrong_key_is_never_tried_again(fake: fakes.FakeClair) -> None:
    """401 is a matter of configuration; the hint says where to look."""
    fake.always["index"] = fakes.answer(401)
    with pytest.raises(faults.ClairRefusesKey) as caught:
        index(fake)
    assert fake.count("index") == 1
    assert "psk" in caught.value.hint


@pytest.mark.parametrize(
    ("act", "error", "tries"),
    [
        (fakes.error(400, "failed to start scan: archive/tar: invalid tar header"), ScanFailed, 1),
        (
            fakes.error(500, "failed to start scan: fetcher: request failed: Get x: refused"),
            faults.LayerNotFetched,
            3,
        ),
        (
            fakes.error(500, "failed to start scan: failed to scan all layer contents: rpm"),
            faults.ScannerBroke,
            2,
        ),
        (fakes.cut, faults.ClairDied, 1),
        (fakes.dripping(3), faults.ClairSlow, 1),
        (
            fakes.answer(201, {**FINISHED, "state": "IndexError", "success": False, "err": "boom"}),
            ScanFailed,
            1,
        ),
    ],
)
def test_refusals_of_index(
    fake: fakes.FakeClair, act: fakes.Act, error: type[ScannerError], tries: int
) -> None:
    """Each refusal has its error and its number of tries."""
    fake.always["index"] = act
    with pytest.raises(error):
        index(fake)
    assert fake.count("index") == tries


@pytest.mark.parametrize(
    "act",
    [
        fakes.error(500, "failed to start scan: failed to connect to `host=/run`: connection refused"),
        fakes.error(500, "ERROR: deadlock detected (SQLSTATE 40P01)"),
        fakes.answer(500, raw=b"<html>"),
        fakes.answer(502, raw=b"bad gateway"),
        fakes.answer(503),
        fakes.answer(201, raw=b"not JSON"),
        fakes.answer(201, raw=b'{"manifest_hash": "sha'),
        fakes.answer(201, [1, 2]),
        fakes.answer(302),
    ],
)
def test_outages_of_index(fake: fakes.FakeClair, act: fakes.Act) -> None:
    """What speaks of Clair's own trouble is an outage, tried again until the deadline, and no word on the image."""
    fake.always["index"] = act
    with pytest.raises(ClairUnavailable):
        index(fake)
    assert fake.count("index") > 1


def test_nobody_listening_is_an_outage() -> None:
    """A refused connection is no death: Clair never had the image."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ClairUnavailable) as caught:
            Clair(Exchange(Address(url=url)), QUICK, threading.Event()).index(MANIFEST, LAYER, nowhere)
    assert not isinstance(caught.value, faults.ClairDied)


def test_a_foreign_layer_in_the_report_is_refused(fake: fakes.FakeClair) -> None:
    """A report about a layer that was not submitted is somebody else's."""
    foreign = {"1": [{"package_db": "x", "introduced_in": "sha256:" + "f" * 64}]}
    fake.always["index"] = fakes.answer(201, {**FINISHED, "environments": foreign})
    with pytest.raises(faults.ForeignLayer):
        index(fake)
    fake.always["report"] = fakes.answer(200, {"manifest_hash": MANIFEST, "environments": foreign})
    with pytest.raises(faults.ForeignLayer):
        client(fake).report(MANIFEST, LAYER)


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (fakes.answer(202), faults.ClairNotReady),
        (fakes.error(404, "index report not found"), faults.NotIndexed),
        (fakes.error(500, "failed to start scan: matcher error: bad version"), faults.ScannerBroke),
        (fakes.answer(401), faults.ClairRefusesKey),
        (fakes.answer(200, raw=b'{"manifest_hash": "x", "packages": {'), ClairUnavailable),
        (fakes.answer(200, {}), ClairUnavailable),
        (fakes.truncated(200), ClairUnavailable),
        (fakes.dripping(3), ClairUnavailable),
        (fakes.cut, ClairUnavailable),
    ],
)
def test_refusals_of_report(fake: fakes.FakeClair, act: fakes.Act, error: type[ScannerError]) -> None:
    """No refusal, and no answer that is half or empty, passes as a report."""
    fake.always["report"] = act
    with pytest.raises(error):
        client(fake).report(MANIFEST, LAYER)


def test_operations_are_told_only_when_they_changed(fake: fakes.FakeClair) -> None:
    """The second question with the mark of the first is answered by nothing."""
    asked = client(fake)
    news = asked.operations("vulnerability")
    assert news is not None
    mark, newest = news
    assert newest["debian/updater"].ref == "ref-1"
    assert asked.operations("vulnerability", mark) is None
    fake.always["operations"] = fakes.answer(304)
    with pytest.raises(ClairUnavailable):
        asked.operations("vulnerability")


def test_probes_are_asked_once(fake: fakes.FakeClair) -> None:
    """Who watches asks again himself."""
    fake.always["state"] = fakes.answer(503)
    with pytest.raises(ClairUnavailable):
        client(fake).index_state()
    assert fake.count("state") == 1


def test_a_stopping_server_does_not_wait(fake: fakes.FakeClair) -> None:
    """Pauses end at once when the server stops."""
    fake.always["index"] = fakes.truncated(429)
    stop = threading.Event()
    stop.set()
    patience = Patience(index=1.0, retry=60.0, first=30.0, most=60.0)
    started = time.monotonic()
    with pytest.raises(ClairUnavailable):
        Clair(Exchange(Address(url=fake.url)), patience, stop).index(MANIFEST, LAYER, nowhere)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(b"short")])
def test_bad_key_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A key that is missing, damaged or short is an error that names the file."""
    path = tmp_path / "psk"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="psk"):
        token.read_key(path)
    with pytest.raises(ConfigError, match="missing"):
        token.read_key(path.with_name("missing"))


def test_an_index_that_did_not_finish_is_no_index(fake: fakes.FakeClair) -> None:
    """201 with an error inside: the reason is Clair's own."""
    fake.always["index"] = fakes.answer(
        201, {**FINISHED, "state": "IndexError", "success": False, "err": "bad rpm"}
    )
    with pytest.raises(ScanFailed, match="bad rpm"):
        index(fake)
