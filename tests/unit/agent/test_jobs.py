# SPDX-License-Identifier: Apache-2.0
"""A job's partition and account come from slurmd or Slurm, never from the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from sifgate.agent.jobs import LIMIT, Jobs
from sifgate.model.launch import JobFacts

STEP = JobFacts(job_id=7, step_id=0, node="n1", nodes=2)
FULL = JobFacts(7, 0, "n1", 2, partition="gpu", account="lab", qos="high", reservation="maint")


def _squeue(tmp_path: Path, body: str) -> Path:
    program = tmp_path / "squeue"
    program.write_text(f"#!/bin/sh\necho called >> {tmp_path}/calls\n{body}\n")
    program.chmod(0o755)
    return program


def test_what_the_prolog_said_completes_a_step() -> None:
    """The four facts are taken over, the step's own stay."""
    jobs = Jobs(Path("/nonexistent"))
    assert jobs.complete(STEP) is None
    jobs.learn(JobFacts(7, -1, "other", 9, "gpu", "lab", "high", "maint"))
    assert jobs.complete(STEP) == FULL


def test_slurm_is_asked_once_per_job(tmp_path: Path) -> None:
    """Without a prolog: one squeue, then memory."""
    jobs = Jobs(_squeue(tmp_path, "echo 'gpu|lab|high|maint'"))
    assert jobs.find_out(STEP) == FULL
    assert jobs.complete(STEP) == FULL
    assert (tmp_path / "calls").read_text() == "called\n"


def test_empty_columns_are_no_names(tmp_path: Path) -> None:
    """`(null)` is squeue's word for nothing."""
    found = Jobs(_squeue(tmp_path, "echo 'debug|(null)|N/A|(null)'")).find_out(STEP)
    assert (found.partition, found.account, found.qos, found.reservation) == ("debug", "", "", "")


@pytest.mark.parametrize("body", ["exit 1", "echo slurm_load_jobs error >&2; exit 0", "echo a|b", "sleep 30"])
def test_without_an_answer_nothing_is_known(tmp_path: Path, body: str) -> None:
    """Controller down, job gone, garbage, silence: the facts stay as they are, within two seconds."""
    jobs = Jobs(_squeue(tmp_path, body))
    assert jobs.find_out(STEP) == STEP
    assert jobs.complete(STEP) is None


def test_a_program_that_others_can_write_is_not_run(tmp_path: Path) -> None:
    """The agent is root."""
    program = _squeue(tmp_path, "echo 'gpu|lab|high|maint'")
    program.chmod(0o777)
    assert Jobs(program).find_out(STEP) == STEP
    assert not (tmp_path / "calls").exists()


def test_memory_is_bounded() -> None:
    """The oldest job is forgotten first."""
    jobs = Jobs(Path("/nonexistent"))
    for number in range(1, LIMIT + 2):
        jobs.learn(JobFacts(job_id=number, partition="p"))
    assert jobs.complete(JobFacts(job_id=1)) is None
    assert jobs.complete(JobFacts(job_id=2)) is not None
