# SPDX-License-Identifier: Apache-2.0
"""Partition, account, QOS and reservation of a job, from sources that its owner cannot forge.

slurmstepd knows none of them: at the SPANK door they could only come from the job's environment, which belongs to the
user. slurmd tells them to the prolog, whose ask comes before any step's. On nodes without that prolog, and only if the
policy reads one of them, Slurm is asked, once per job.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections import OrderedDict
from pathlib import Path

import msgspec

from sifgate import fsguard
from sifgate.errors import UnsafeFile
from sifgate.model.launch import JobFacts

FIELDS = ("partition", "account", "qos", "reservation")
LIMIT = 4096
"""Jobs that are remembered; a node runs far fewer at a time."""
SQUEUE_TIMEOUT = 1.0
"""Seconds that Slurm's controller may take: a launch waits for it, and its shim hears nothing meanwhile."""
_FORMAT = "%P|%a|%q|%v"


class Jobs:
    """What is known of jobs; used by several threads."""

    def __init__(self, squeue: Path) -> None:
        self._squeue = squeue
        self._known: OrderedDict[int, JobFacts] = OrderedDict()
        self._lock = threading.Lock()

    def learn(self, job: JobFacts) -> None:
        """Remember what slurmd said of a job through the prolog."""
        if job.job_id > 0:
            with self._lock:
                self._known[job.job_id] = job
                self._known.move_to_end(job.job_id)
                while len(self._known) > LIMIT:
                    self._known.popitem(last=False)

    def complete(self, job: JobFacts) -> JobFacts | None:
        """Return the facts with what is remembered of the job; None where nothing is."""
        with self._lock:
            known = self._known.get(job.job_id)
        if known is None:
            return None
        return msgspec.structs.replace(job, **{name: getattr(known, name) for name in FIELDS})

    def find_out(self, job: JobFacts) -> JobFacts:
        """Return the facts completed by Slurm, and remember them; unchanged where Slurm does not answer. Blocks."""
        words = self._ask(job.job_id)
        if len(words) != len(FIELDS):
            return job
        values = {
            name: "" if word in {"(null)", "N/A"} else word for name, word in zip(FIELDS, words, strict=True)
        }
        found = msgspec.structs.replace(job, **values)
        self.learn(found)
        return found

    def _ask(self, number: int) -> list[str]:
        """Return what squeue prints: none of these columns can hold text that a user chose freely."""
        try:
            fsguard.check(self._squeue, owner_uid=os.geteuid())
            done = subprocess.run(
                [str(self._squeue), "--noheader", f"--jobs={number}", f"--format={_FORMAT}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SQUEUE_TIMEOUT,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                cwd="/",
                check=False,
            )
        except (UnsafeFile, OSError, subprocess.SubprocessError):
            return []
        return done.stdout.strip().split("|") if done.returncode == 0 else []
