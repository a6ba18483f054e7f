# SPDX-License-Identifier: Apache-2.0
"""One scan for a fingerprint, however many ask and whoever dies."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from testbed import filetrees
from tests.fakes import clair as fakes
from tests.integration.server.conftest import Faulty
from tests.integration.server.site import eventually, slim_of

from sifgate.model.verdict import ScanState

pytestmark = pytest.mark.engine


def test_fifty_askers_cause_one_scan(faulty: Faulty, tmp_path: Path) -> None:
    """Fifty uploads and fifty waiting questions at two servers: one index, one report, one fetch, one verdict."""
    gate = threading.Event()
    faulty.clair.acts["index"].append(fakes.held(gate, fakes.index))
    slim = slim_of(filetrees.trixie(), tmp_path)
    sites = [faulty.start(), faulty.start()]
    with ThreadPoolExecutor(100) as pool:
        uploads = [pool.submit(sites[number % 2].put, slim) for number in range(50)]
        assert {upload.result().status_code for upload in uploads} == {202}
        asks = [pool.submit(sites[number % 2].get, slim.fingerprint, 20) for number in range(50)]
        eventually(lambda: faulty.clair.count("index") == 1)
        gate.set()
        answers = [ask.result() for ask in asks]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (faulty.clair.count("index"), faulty.clair.count("report"), len(faulty.clair.fetched)) == (1, 1, 1)
    assert sites[0].put(slim).status_code == 200
    assert faulty.clair.count("index") == 1


def test_a_killed_servers_scan_is_taken_over(faulty: Faulty, tmp_path: Path) -> None:
    """The server that scans is killed; when its lease has run out another one ends the scan."""
    slim = slim_of(filetrees.trixie(), tmp_path)
    gate = threading.Event()
    faulty.clair.acts["index"].append(fakes.held(gate, fakes.cut))
    first = faulty.start()
    assert first.put(slim).status_code == 202
    eventually(lambda: faulty.clair.count("index") == 1)
    first.kill()
    gate.set()
    second = faulty.start()
    assert second.get(slim.fingerprint).status_code == 202
    with psycopg.connect(faulty.files.dsn) as connection:  # instead of half a minute
        connection.execute(
            "UPDATE scans SET lease_until = now() - interval '1 second' WHERE state = 'running'"
        )
    assert second.verdict(slim.fingerprint).state is ScanState.KNOWN
    assert faulty.clair.count("index") == 2


def test_a_server_told_to_end_gives_its_scan_back(faulty: Faulty, tmp_path: Path) -> None:
    """SIGTERM in mid-scan: the scan is free at once, long polls end, the status is 0."""
    slim = slim_of(filetrees.trixie(), tmp_path)
    gate = threading.Event()
    faulty.clair.acts["index"].append(fakes.held(gate, fakes.cut))
    first, second = faulty.start("--workers", "1"), faulty.start("--workers", "1")
    assert first.put(slim).status_code == 202
    eventually(lambda: faulty.clair.count("index") == 1)
    with psycopg.connect(faulty.files.dsn) as connection:
        row = connection.execute("SELECT worker FROM scans").fetchone()
    assert row is not None
    holder = first if f":{first.process.pid}:" in row[0] else second
    other = second if holder is first else first
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(holder.get, slim.fingerprint, 25)
        assert not waiting.done()
        assert holder.end() == 0
        assert waiting.result().status_code == 202
    assert other.verdict(slim.fingerprint).state is ScanState.KNOWN
    gate.set()
