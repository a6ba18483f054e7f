# SPDX-License-Identifier: Apache-2.0
"""Every way to start a step on a real Slurm, with real images: judged, recorded, said once; nothing eaten."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.cluster.gate import records, sifgate

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
KEV, CLEAN = "/images/kev/bullseye-kev.sif", "/images/clean/trixie.sif"
OLD = "/images/unsupported/centos-7-runs.sif"
RUNS = "the container runs\n"


def _exec(image: str, *words: str) -> list[str]:
    return ["apptainer", "exec", image, *(words or ("echo", RUNS.strip()))]


def _refused(stderr: str) -> bool:
    return stderr.count("sifgate: launch refused: 2 known-exploited") == 1


def _new(root: Path, before: int) -> list[dict[str, object]]:
    """Return the records of launches since then; a batch script that was only looked at has one too."""
    return [record for record in records(root)[before:] if record.get("outcome", "decided") == "decided"]


@pytest.fixture
def before(gate_root: Path) -> int:
    """Return how many records of this door there are."""
    return len(records(gate_root)) if (gate_root / "log/audit.jsonl").exists() else 0


def _batch(site: Cluster, script: str, *options: str) -> tuple[dict[str, str], str]:
    """Return a batch job's last facts and its output."""
    words = ["sbatch", "--parsable", "-o", "/scratch/out", *options]
    done = site.run("alice", words, text=f"#!/bin/bash\n{script}\n")
    job = site.wait_job(done.check().stdout.strip())
    return job, (site.scratch / "out").read_text()


def test_salloc_and_srun(site: Cluster, gate_root: Path, before: int) -> None:
    """Each step of an allocation is judged by itself, and says its notice on the user's terminal."""
    lines = f"srun apptainer exec {KEV} true; srun apptainer exec {CLEAN} echo {RUNS}"
    done = site.run("alice", ["salloc", "-Q", "-n2", "sh", "-c", lines])
    assert (done.returncode, done.stdout) == (0, RUNS * 2)
    assert _refused(done.stderr)
    assert [(record["step"], record["action"]) for record in _new(gate_root, before)] == [
        (0, "block"),
        (1, "allow"),
    ]


def test_a_job_array(site: Cluster, gate_root: Path, before: int) -> None:
    """Each element is evaluated and recorded from what is known: one scan, one notice for all of it."""
    site.run("alice", ["srun", *_exec(OLD, "true")])
    scans = _extractions(gate_root)
    script = f"srun apptainer exec {OLD} echo {RUNS}"
    options = ["--array=1-5", "-o", "/scratch/array-%a", "--wait"]
    done = site.run("alice", ["sbatch", "--parsable", *options], text=f"#!/bin/bash\n{script}\n")
    assert done.returncode == 0
    outputs = [(site.scratch / f"array-{number}").read_text() for number in range(1, 6)]
    assert all(output.endswith(RUNS) for output in outputs)
    assert "".join(outputs).count("sifgate: warning") == 1
    new = _new(gate_root, before + 1)
    assert [record["action"] for record in new] == ["warn"] * 5
    assert len({record["job"] for record in new}) == 5
    assert _extractions(gate_root) == scans


def _extractions(root: Path) -> int:
    found = re.search(r'"extractions": ?(\d+)', sifgate(root, "status", "--format", "json").stdout)
    assert found is not None
    return int(found[1])


def test_overlapping_steps(site: Cluster) -> None:
    """A step on the resources of another one is refused like any; the other goes on."""
    script = f"srun sleep 3 & sleep 1\nsrun --overlap apptainer exec {KEV} true && exit 9\nwait\necho end"
    job, text = _batch(site, script)
    assert (job["JobState"], text.endswith("end\n")) == ("COMPLETED", True)
    assert _refused(text)


@pytest.mark.parametrize(("image", "code"), [(KEV, 1), (CLEAN, 0)])
def test_a_step_with_a_terminal(site: Cluster, image: str, code: int) -> None:
    """--pty: the notice comes through the step's terminal."""
    line = f"srun --pty apptainer exec {image} tty"
    done = site.run("alice", ["script", "-qec", line, "/dev/null"])
    assert done.returncode == code
    assert ("launch refused" in done.stdout) is bool(code)
    assert ("/dev/pts/" in done.stdout) is not bool(code)


def test_srun_from_within_a_container(site: Cluster, gate_root: Path, before: int) -> None:
    """The step that it starts is a step like any: judged on the node, outside the container."""
    binds = [
        "/usr/bin/srun",
        "/usr/lib/x86_64-linux-gnu/slurm-wlm",
        "/usr/lib/x86_64-linux-gnu/libmunge.so.2",
        "/etc/slurm",
        "/etc/passwd",
        "/run/munge",
    ]
    inner = ["srun", "--overlap", "-n1", *_exec(KEV, "true")]
    options = [word for bind in binds for word in ("-B", bind)]
    done = site.run("alice", ["srun", "-n1", "apptainer", "exec", *options, CLEAN, *inner])
    assert done.returncode == 1
    assert _refused(done.stderr), done.stderr
    assert [record["action"] for record in _new(gate_root, before)][-1] == "block"


def test_a_requeued_job_is_judged_again(site: Cluster, gate_root: Path, before: int) -> None:
    """The second run of the same job has its own record."""
    text = f"#!/bin/bash\nsrun apptainer exec {CLEAN} true\n"
    done = site.run("alice", ["sbatch", "--parsable", "--requeue", "-o", "/dev/null"], text=text)
    number = done.check().stdout.strip()
    site.wait_job(number)
    site.run("root", ["scontrol", "requeuehold", number]).check()
    end = time.monotonic() + 2  # slurmd takes no credential that is as old as the one it revoked
    while site.job(number)["JobState"] != "PENDING" or time.monotonic() < end:
        time.sleep(0.1)
    site.run("root", ["scontrol", "update", f"jobid={number}", "starttime=now"]).check()
    site.run("root", ["scontrol", "release", number]).check()
    assert site.wait_job(number)["Restarts"] == "1"
    new = _new(gate_root, before)
    assert [(record["job"], record["action"]) for record in new] == [(int(number), "allow")] * 2


@pytest.mark.parametrize("image", [CLEAN, OLD])
def test_the_jobs_input_is_not_eaten(site: Cluster, image: str) -> None:
    """What stands in the pipe before a step reaches the program in the container whole."""
    text = "".join(f"line {number}\n" for number in range(20_000))
    done = site.run("alice", ["srun", *_exec(image, "cat")], text=text)
    assert (done.returncode, done.stdout == text) == (0, True)


def test_a_refused_step_leaves_the_scripts_input(site: Cluster) -> None:
    """A `while read` loop around refused steps sees each of its lines."""
    step = f"srun -n1 apptainer exec {KEV} true </dev/null"
    script = f'printf "a\\nb\\nc\\n" | while read -r x; do echo "got $x"; {step}; done'
    _, text = _batch(site, script)
    assert re.findall("got .", text) == ["got a", "got b", "got c"]


def _foreseen(site: Cluster, root: Path, image: str) -> str:
    """Submit until the scan that the first submission began is over; return what the last one said."""
    text = f"#!/bin/bash\nexit 0\nsrun apptainer exec {image} true\n"
    end = time.monotonic() + 40
    while True:
        done = site.run("alice", ["sbatch", "--parsable", "-o", "/dev/null"], text=text).check()
        site.wait_job(done.stdout.strip())
        last = records(root, "submit")[-1:]
        known = [record["state"] for record in last if record["path"] == image] == ["known"]
        if (known and bool(done.stderr) is (image == KEV)) or time.monotonic() > end:
            return done.stderr


def test_foresight_at_submission(site: Cluster, gate_root: Path) -> None:
    """Sbatch says what the launch in its script would meet; a clean script is submitted without a word."""
    site.run("root", ["mount", "--bind", "/nodes/d1/run", "/run/sifgate"]).check()
    try:
        said = _foreseen(site, gate_root, KEV)
        assert "this is about its launch, later on" in said
        assert _refused(said)
        assert _foreseen(site, gate_root, CLEAN) == ""
    finally:
        site.run("root", ["umount", "/run/sifgate"]).check()
