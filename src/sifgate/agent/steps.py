# SPDX-License-Identifier: Apache-2.0
"""One step, one answer: the server keeps a step's first decision; a node that refuses ends the whole step.

Asked of the server only for steps on more than one node. Where it cannot be asked, this node's own decision stands;
since every refusal ends the step, no other outcome than "all run" or "none runs" is left.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import syslog
from collections.abc import Callable
from pathlib import Path

from sifgate import fsguard
from sifgate.admission.ports import Footing
from sifgate.agent.remote import Remote
from sifgate.agent.turns import Promise
from sifgate.errors import ClairUnavailable, ServerUnreachable, UnsafeFile
from sifgate.model.decision import Decision
from sifgate.model.launch import LaunchEvent

SCANCEL_TIMEOUT = 30
"""Seconds that scancel may take; slurmctld may be busy."""

Offload = Callable[[Callable[[], Decision]], Promise[Decision]]


class Steps:
    """Implements the port `Steps` of a review."""

    def __init__(
        self, remote: Remote, scancel: Path, offload: Offload, run: Callable[[Callable[[], None]], object]
    ) -> None:
        self._remote = remote
        self._scancel = scancel
        self._offload = offload
        self._run = run
        self.ended = 0
        """Steps that this node has ended."""

    def keep_first(self, launch: LaunchEvent, footing: Footing, decision: Decision) -> Promise[Decision]:
        """See `Steps.keep_first`; without job, fingerprint or server this node's own decision."""
        job = launch.job
        if not launch.requester.trusted or job.job_id <= 0 or not footing.fingerprint:
            return Promise.kept(decision)

        def work() -> Decision:
            try:
                return self._remote.keep_first(job.job_id, job.step_id, footing.fingerprint, decision)
            except (ServerUnreachable, ClairUnavailable):
                return decision

        return self._offload(work)

    def end(self, launch: LaunchEvent) -> None:
        """Run `scancel JOB.STEP` beside the conversation; only for a step that root's own shim told of."""
        job = launch.job
        if not launch.requester.trusted or job.job_id <= 0 or job.step_id < 0:
            return
        self.ended += 1
        self._run(lambda: self._cancel(f"{job.job_id}.{job.step_id}"))

    def _cancel(self, step: str) -> None:
        try:
            fsguard.check(self._scancel, owner_uid=os.geteuid())
            done = subprocess.run(
                [str(self._scancel), "--quiet", step],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=SCANCEL_TIMEOUT,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                cwd="/",
                start_new_session=True,
                check=False,
            )
            problem = "" if done.returncode == 0 else done.stderr.decode(errors="replace")[:200]
        except (UnsafeFile, OSError, subprocess.SubprocessError) as error:
            problem = str(error)
        if problem:
            with contextlib.suppress(OSError):
                syslog.syslog(
                    syslog.LOG_ERR | syslog.LOG_DAEMON, f"sifgate: step {step} not ended: {problem}"
                )
