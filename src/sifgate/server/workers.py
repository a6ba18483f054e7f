# SPDX-License-Identifier: Apache-2.0
"""The threads that scan: claim a job, keep its lease, and decide what each outcome means for it."""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
from typing import Any

import structlog

from sifgate.clair.faults import ClairBusy, ClairDied, ClairSlow
from sifgate.errors import ClairUnavailable, ScanFailed, SifgateError, StoreError
from sifgate.server.advisories import AdvisoryWatch
from sifgate.server.scanner import LayerWanted, Scanned, Scanner, keep
from sifgate.store import scans
from sifgate.store.database import Database
from sifgate.store.scans import Job

_LOG = structlog.get_logger(__name__)

IDLE_SECONDS = 5.0
"""How long a worker sleeps without being told of a job; notifications wake it at once."""
MOST_ATTEMPTS = 3
MOST_SLOW = 2
DEATHS_TO_QUARANTINE = 2
MOST_DEATHS = 4
"""After so many no restart of Clair brings the fingerprint another try."""
REST_SECONDS = 3600.0
"""How long a quarantined fingerprint rests before a restart of Clair brings it another try."""


class Workers:
    """A fixed number of scanning threads, and one that keeps their leases."""

    def __init__(self, database: Database, scanner: Scanner, watch: AdvisoryWatch, *, number: int) -> None:
        self._database = database
        self._scanner = scanner
        self._watch = watch
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stop = threading.Event()
        self._wake = threading.Condition()
        self._lock = threading.Lock()
        self._held: dict[str, Job] = {}
        names = [f"scan-{index}" for index in range(number)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        self._threads.append(threading.Thread(target=self._keep_leases, name="leases", daemon=True))

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Tell the workers that there may be a job."""
        with self._wake:
            self._wake.notify_all()

    def stop(self, seconds: float) -> None:
        """End: claim nothing more, wait a little, and give unfinished scans back to whoever comes next."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(seconds / len(self._threads))
        with self._lock:
            left = list(self._held.values())
        for job in left:
            try:
                with self._database.transaction() as connection:
                    scans.settle(
                        connection, job, self._name, state="queued", deaths=job.deaths, forgiven=True
                    )
            except StoreError as error:
                _LOG.warning("scan not given back", fingerprint=job.fingerprint, error=str(error))

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                job = scans.claim(self._database, self._name)
            except StoreError as error:
                _LOG.warning("claim", error=str(error))
                self._stop.wait(1.0)
                continue
            if job is None:
                with self._wake:
                    self._wake.wait(IDLE_SECONDS)
                continue
            with self._lock:
                self._held[job.fingerprint] = job
            try:
                self._run(job)
            finally:
                with self._lock:
                    self._held.pop(job.fingerprint, None)

    def _run(self, job: Job) -> None:
        """Scan and settle; nothing that happens here may end the thread or lose the job."""
        _LOG.info("scan start", fingerprint=job.fingerprint, attempt=job.attempts, rematch=job.rematch)
        try:
            self._end(job, self._scanner.scan(job.fingerprint, self._watch.look()))
        except StoreError as error:  # the lease runs out, somebody takes over
            _LOG.warning("scan store", fingerprint=job.fingerprint, error=str(error))
        except SifgateError as error:
            self._settle_error(job, error)
        except Exception as error:  # noqa: BLE001  # a defect of ours must not end the thread
            _LOG.exception("scan broke", fingerprint=job.fingerprint)
            self._settle_error(job, error)

    def _settle_error(self, job: Job, error: Exception) -> None:
        _LOG.warning("scan ended", fingerprint=job.fingerprint, error=str(error), kind=type(error).__name__)
        try:
            match error:
                case LayerWanted():
                    self._settle(job, state="wanted")
                case ClairDied():
                    self._blame(job, error)
                case ClairBusy():
                    self._settle(job, state="queued", deaths=job.deaths, pause=_jittered(5.0), forgiven=True)
                case ClairUnavailable():
                    self._settle(
                        job, state="queued", deaths=job.deaths, pause=5.0 + _jittered(10.0), outage=True
                    )
                case ClairSlow() if job.attempts < MOST_SLOW:
                    self._settle(job, state="queued", deaths=job.deaths, pause=_jittered(30.0))
                case ScanFailed():
                    self._fail(job, str(error))
                case _ if job.attempts < MOST_ATTEMPTS:
                    self._settle(job, state="queued", deaths=job.deaths, pause=_jittered(10.0))
                case _:
                    self._fail(job, f"sifgate itself fails on this image ({type(error).__name__})")
        except SifgateError as second:
            _LOG.warning("scan not settled", fingerprint=job.fingerprint, error=str(second))

    def _blame(self, job: Job, error: ClairDied) -> None:
        """Count a death of Clair; the second one ends in quarantine, the first in another try, alone."""
        deaths = job.deaths + 1
        if deaths < DEATHS_TO_QUARANTINE:
            self._settle(job, state="queued", deaths=deaths, pause=2.0)
            return
        detail = f"quarantined: Clair ended {deaths} times while it indexed this image ({error})"
        self._fail(job, detail, state="quarantined", deaths=deaths)

    def _fail(self, job: Job, detail: str, *, state: str = "done", deaths: int = 0) -> None:
        advisories = self._watch.current or self._watch.look()
        self._end(job, self._scanner.failed(job.fingerprint, advisories, detail), state=state, deaths=deaths)

    def _end(self, job: Job, scanned: Scanned, *, state: str = "done", deaths: int = 0) -> None:
        """Store the verdict and end the job in one transaction."""
        with self._database.transaction() as connection:
            verdict = keep(connection, scanned)
            scans.settle(connection, job, self._name, state=state, deaths=deaths)
        _LOG.info(
            "scan done",
            fingerprint=job.fingerprint,
            state=verdict.state.value,
            findings=len(verdict.findings),
            generation=verdict.generation.id,
        )

    def _settle(self, job: Job, **outcome: Any) -> None:
        with self._database.transaction() as connection:
            scans.settle(connection, job, self._name, **outcome)

    def _keep_leases(self) -> None:
        while not self._stop.wait(scans.LEASE_SECONDS / 3):
            with self._lock:
                held = list(self._held.values())
            for job in held:
                try:
                    if not scans.extend(self._database, job, self._name):
                        _LOG.warning("lease lost", fingerprint=job.fingerprint)
                except StoreError as error:
                    _LOG.warning("lease", fingerprint=job.fingerprint, error=str(error))


def _jittered(most: float) -> float:
    return random.uniform(0.0, most)  # noqa: S311  # spreads tries, hides nothing
