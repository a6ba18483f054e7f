# SPDX-License-Identifier: Apache-2.0
"""A server beside a Clair that fails in every way that the real one does not on demand."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from testbed import filetrees
from tests.fakes import clair as fakes
from tests.integration.server.conftest import Faulty
from tests.integration.server.site import Site, Slim, eventually, slim_of

from sifgate.model.verdict import ScanState

pytestmark = pytest.mark.engine


@pytest.fixture
def slim(tmp_path: Path) -> Slim:
    """A slim layer that the fake answers about with one finding."""
    return slim_of(filetrees.trixie(), tmp_path)


def unavailable(site: Site, slim: Slim) -> bool:
    """Return whether the server says that Clair is away."""
    answer = site.get(slim.fingerprint)
    assert answer.status_code in {202, 503}
    return answer.status_code == 503 and answer.json()["code"] == "clair_unavailable"


def row(faulty: Faulty) -> dict[str, Any]:
    """Return the only scan."""
    with psycopg.connect(faulty.files.dsn, row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute("SELECT * FROM scans").fetchone()
    assert found is not None
    return found


def wait_no_longer(faulty: Faulty) -> None:
    """Let the scan that rests run now."""
    with psycopg.connect(faulty.files.dsn) as connection:
        connection.execute("UPDATE scans SET not_before = now()")


def test_an_empty_clair_is_not_clean(faulty: Faulty, slim: Slim) -> None:
    """202: the server says unavailable, never a verdict; when advisories are there the scan goes on by itself."""
    faulty.clair.always["report"] = fakes.answer(202)
    site = faulty.start()
    assert site.put(slim).status_code == 202
    eventually(lambda: unavailable(site, slim))
    del faulty.clair.always["report"]
    wait_no_longer(faulty)
    eventually(lambda: site.get(slim.fingerprint, wait=5).status_code == 200)
    assert len(site.verdict(slim.fingerprint).findings) == 1


def test_a_wrong_key_is_an_outage_with_a_reason(faulty: Faulty, slim: Slim) -> None:
    """401 everywhere: 503, and the reason in the status for the administrator."""
    faulty.clair.always = dict.fromkeys(("index", "report", "operations", "state"), fakes.answer(401))
    site = faulty.start()
    assert site.put(slim).status_code == 202
    eventually(lambda: unavailable(site, slim))
    assert "401" in site.ask("GET", "/v1/status", role="viewer").json()["clair"]["problem"]


def test_nobody_at_clairs_address(faulty: Faulty, slim: Slim) -> None:
    """Refused connections: 503 at once, also for who would wait; a verdict made before is served all the same."""
    site = faulty.start()
    site.judged(slim)
    faulty.clair.always = dict.fromkeys(("index", "report", "operations", "state"), fakes.cut)
    eventually(lambda: not site.ask("GET", "/v1/status").json()["clair"]["reachable"])
    assert site.get(slim.fingerprint).status_code == 200
    other = Slim(extraction=slim.extraction, tar=slim.tar)
    with psycopg.connect(faulty.files.dsn) as connection:
        connection.execute("DELETE FROM latest_verdicts")
        connection.execute("UPDATE scans SET state = 'queued'")
    started = time.monotonic()
    answer = site.get(other.fingerprint, wait=20)
    assert (answer.status_code, answer.json()["code"]) == (503, "clair_unavailable")
    assert time.monotonic() - started < 10


def test_a_busy_clair_leaves_the_image_pending(faulty: Faulty, slim: Slim) -> None:
    """429 with its broken body: requesters can bring it about, so it is never called unavailable."""
    faulty.clair.acts["index"].extend([fakes.truncated(429)] * 3)
    site = faulty.start()
    assert site.put(slim).status_code == 202
    eventually(lambda: faulty.clair.count("index") >= 2)
    assert site.get(slim.fingerprint).status_code == 202
    assert site.verdict(slim.fingerprint).state is ScanState.KNOWN


@pytest.mark.parametrize(
    ("route", "act", "word"),
    [
        (
            "index",
            fakes.error(500, "failed to start scan: failed to scan all layer contents: bad rpm"),
            "bad rpm",
        ),
        ("index", fakes.error(400, "failed to start scan: archive/tar: invalid tar header"), "invalid tar"),
        ("report", fakes.error(500, "failed to start scan: matcher error: bad version"), "bad version"),
    ],
)
def test_what_clair_fails_on_is_failed(
    faulty: Faulty, slim: Slim, route: str, act: fakes.Act, word: str
) -> None:
    """Deterministic failures: state `failed` with Clair's words, asked at most twice, not asked again."""
    faulty.clair.always[route] = act
    site = faulty.start()
    found = site.judged(slim)
    assert (found.state, found.findings) == (ScanState.FAILED, ())
    assert word in found.detail
    assert faulty.clair.count(route) <= 2
    assert site.get(slim.fingerprint).status_code == 200
    assert faulty.clair.count(route) <= 2


def test_a_report_about_somebody_elses_layer_is_refused(faulty: Faulty, slim: Slim) -> None:
    """A manifest that somebody registered with harmless layers gives no verdict but `failed`."""
    report = fakes.debian_report()
    report["environments"]["1"][0]["introduced_in"] = "sha256:" + "0" * 64
    report["package_vulnerabilities"] = {}
    faulty.clair.report = report
    found = faulty.start().judged(slim)
    assert found.state is ScanState.FAILED
    assert "did not submit" in found.detail


def test_garbage_is_never_a_verdict(faulty: Faulty, slim: Slim) -> None:
    """200 with something else than a report: asked again, and nothing is known until a report comes."""
    faulty.clair.acts["report"].extend([fakes.answer(200, raw=b"<html>login</html>"), fakes.answer(200, {})])
    site = faulty.start()
    assert site.put(slim).status_code == 202
    assert len(site.verdict(slim.fingerprint).findings) == 1
    assert faulty.clair.count("report") == 3


def test_an_image_that_clair_dies_of_is_quarantined(faulty: Faulty, slim: Slim, tmp_path: Path) -> None:
    """The first death is a suspicion, the second one ends in quarantine; other images are still scanned."""
    faulty.clair.acts["index"].extend([fakes.cut, fakes.cut])
    site = faulty.start()
    assert site.put(slim).status_code == 202
    eventually(lambda: row(faulty)["deaths"] == 1)
    found = site.verdict(slim.fingerprint)
    assert found.state is ScanState.FAILED
    assert "quarantined: Clair ended 2 times" in found.detail
    assert row(faulty)["state"] == "quarantined"
    faulty.clair.operations["vulnerability"]["debian/updater"] = "ref-9"
    other = slim_of(filetrees.bookworm_min(), tmp_path)
    assert site.judged(other).state is ScanState.KNOWN
    assert site.get(slim.fingerprint).status_code == 200
    assert faulty.clair.count("index") == 3


def test_bystanders_of_a_death_are_not_quarantined(faulty: Faulty, slim: Slim, tmp_path: Path) -> None:
    """Two images in flight when Clair dies: each is tried again alone, and only the guilty one ends in quarantine."""
    guilty = slim.extraction.layer_digest
    gate = threading.Event()

    def index(handler: fakes.Handler) -> None:
        if not gate.is_set():
            gate.wait(20)
            fakes.cut(handler)
        elif guilty.encode() in handler.body:
            fakes.cut(handler)
        else:
            fakes.index(handler)

    faulty.clair.always["index"] = index
    site = faulty.start()
    innocent = slim_of(filetrees.bookworm_min(), tmp_path)
    assert site.put(slim).status_code == site.put(innocent).status_code == 202
    eventually(lambda: faulty.clair.count("index") == 2)
    gate.set()
    assert site.verdict(innocent.fingerprint).state is ScanState.KNOWN
    assert site.verdict(slim.fingerprint).state is ScanState.FAILED


def test_new_advisories_are_matched_again_without_indexing(faulty: Faulty, slim: Slim) -> None:
    """After the generation changed the old verdict is served once more, then a new one, by a report alone."""
    site = faulty.start()
    before = site.judged(slim)
    faulty.clair.report["vulnerabilities"]["77"]["fixed_in_version"] = ""
    faulty.clair.operations["vulnerability"]["debian/updater"] = "ref-9"

    def fresh() -> bool:
        return site.verdict(slim.fingerprint).generation.id != before.generation.id

    eventually(fresh)
    after = site.verdict(slim.fingerprint)
    assert (before.findings[0].fixable, after.findings[0].fixable) == (True, False)
    assert (faulty.clair.count("index"), faulty.clair.count("report")) == (1, 2)


def test_a_clair_with_a_new_database_gets_the_layer_again(faulty: Faulty, slim: Slim) -> None:
    """404 for a manifest that was indexed: small layers are still here; a dropped one is asked for again."""
    site = faulty.start()
    site.judged(slim)
    for generation, kept in (("ref-8", True), ("ref-9", False)):
        faulty.clair.indexed.clear()
        if not kept:
            with psycopg.connect(faulty.files.dsn) as connection:
                connection.execute("UPDATE layers SET place = 'dropped', body = NULL")
        faulty.clair.operations["vulnerability"]["debian/updater"] = generation
        if kept:
            eventually(
                lambda: site.get(slim.fingerprint).status_code == 200 and faulty.clair.count("index") == 2
            )
            eventually(lambda: row(faulty)["state"] == "done")
    eventually(lambda: site.get(slim.fingerprint).status_code == 404)
    assert site.judged(slim).state is ScanState.KNOWN


def test_a_scanner_upgrade_indexes_again(faulty: Faulty, slim: Slim) -> None:
    """Another index state (other scanners) and new advisories: the layer is indexed anew."""
    site = faulty.start()
    assert site.judged(slim).index_state == "state-1"
    faulty.clair.index_state = "state-2"
    faulty.clair.operations["vulnerability"]["debian/updater"] = "ref-9"
    eventually(lambda: site.verdict(slim.fingerprint).index_state == "state-2")
    assert faulty.clair.count("index") == 2
