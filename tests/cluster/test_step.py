# SPDX-License-Identifier: Apache-2.0
"""A step on a real Slurm, judged by an agent that follows a script: what is asked, shown, run and refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testbed.cluster import Cluster
from testbed.cluster.scripted import Step

pytestmark = pytest.mark.cluster
ALLOW: list[Step] = [("decide", "allow", {})]
BLOCK = [("decide", "block", {"notice": "sifgate: launch refused: two KEV\n  why    CVE-1 git"})]
Asks = Callable[..., list[dict[str, list[bytes]]]]


def test_the_option_is_in_srun_help(cluster: Cluster) -> None:
    """`--sifgate-reason` stands in the help of srun, sbatch and salloc."""
    for program in ("srun", "sbatch", "salloc"):
        assert "--sifgate-reason=TEXT" in cluster.run("alice", [program, "--help"]).stdout


def test_an_allowed_step_runs_without_a_word(cluster: Cluster, agents: Any) -> None:
    """Allow: the program's output and nothing else."""
    agents(ALLOW)
    done = cluster.run("alice", ["srun", "echo", "singularity", "says", "hello"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "singularity says hello\n", "")


def test_a_refused_step_does_not_run(cluster: Cluster, agents: Any) -> None:
    """Block: exit 1, the notice unprefixed, nothing run, the node idle."""
    agents(BLOCK)
    done = cluster.run("alice", ["srun", "touch", "/scratch/apptainer-ran"])
    assert done.returncode == 1
    assert "sifgate: launch refused: two KEV\n  why    CVE-1 git\n" in done.stderr
    assert not (cluster.scratch / "apptainer-ran").exists()
    cluster.wait_idle()


def test_what_is_asked(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """Job, step, user, node, directory, words, variables that a parser reads (no secrets), reason."""
    started = agents(ALLOW)
    secret = {"APPTAINER_BIND": "/data", "APPTAINER_DOCKER_PASSWORD": "hunter2", "OTHER": "x"}
    words = [
        "srun",
        "-w",
        "n2",
        "--sifgate-reason=because",
        "--chdir=/scratch",
        "echo",
        "apptainer",
        "a\nb",
        "é",
    ]
    assert cluster.run("alice", words, env=secret).returncode == 0
    (ask,) = asks(*started)
    assert ask["arg"] == [b"echo", b"apptainer", b"a\nb", "é".encode()]
    assert {key: ask[key] for key in ("uid", "gid", "step", "nodes", "node", "cwd", "reason")} == {
        "uid": [b"2001"],
        "gid": [b"2001"],
        "step": [b"0"],
        "nodes": [b"1"],
        "node": [b"n2"],
        "cwd": [b"/scratch"],
        "reason": [b"because"],
    }
    assert b"APPTAINER_BIND=/data" in ask["env"]
    assert not any(b"hunter2" in value or value.startswith(b"OTHER") for value in ask["env"])


def test_the_user_cannot_choose_the_node_name(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """A variable of the user's does not get into the facts that the agent believes."""
    started = agents(ALLOW)
    cluster.run(
        "alice", ["srun", "-w", "n1", "true"], env={"SLURMD_NODENAME": "evil", "SLURM_JOB_ACCOUNT": "root"}
    )
    (ask,) = asks(*started)
    assert ask["node"] == [b"n1"]
    assert "account" not in ask


def test_all_tasks_of_a_node_share_one_answer(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """Four tasks on two nodes: two questions, one notice."""
    started = agents(BLOCK)
    done = cluster.run("alice", ["srun", "-N2", "-n6", "apptainer", "exec", "x.sif", "true"])
    assert len(asks(*started)) == 2
    assert done.returncode == 1
    assert done.stderr.count("sifgate: launch refused") == 1


def test_a_warning_is_shown_once_per_job_and_image(cluster: Cluster, agents: Any) -> None:
    """`once`: the second step of a job with the same image is silent, another job is not."""
    agents([("open", "/etc/hosts"), ("decide", "warn", {"notice": "sifgate: warning", "once": "1"})])
    twice = "srun -n3 echo apptainer; srun -n3 echo apptainer"
    done = cluster.run("alice", ["salloc", "-Q", "-n3", "-w", "n1", "sh", "-c", twice])
    assert (done.stdout.count("apptainer"), done.stderr.count("sifgate: warning")) == (6, 1)
    assert (
        cluster.run("alice", ["srun", "-w", "n1", "echo", "apptainer"]).stderr.count("sifgate: warning") == 1
    )


def test_progress_is_one_line(cluster: Cluster, agents: Any) -> None:
    """While an image is scanned the user reads one line, whatever the number of turns and tasks."""
    agents([("wait", "sifgate: scanning x.sif")] * 3 + ALLOW)
    done = cluster.run("alice", ["srun", "-N2", "-n4", "echo", "apptainer"])
    assert (done.returncode, done.stderr) == (0, "sifgate: scanning x.sif\n")


def test_a_multi_prog_file_arrives_whole(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """The text of the file is sent, and said to be one."""
    started = agents(ALLOW)
    text = "# ranks\n0 /bin/echo apptainer exec a.sif\n1 /bin/echo apptainer exec b.sif\n"
    (cluster.scratch / "mp.conf").write_text(text)
    assert (
        cluster.run("alice", ["srun", "-n2", "-w", "n1", "--multi-prog", "/scratch/mp.conf"]).returncode == 0
    )
    (ask,) = asks(*started)
    assert ask["multiprog"] == [b"1"]
    assert ask["arg"] == [b"/scratch/mp.conf", text.encode()]


def test_a_megabyte_of_words_arrives_whole(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """Long command lines travel as a sealed memfd."""
    started = agents(ALLOW)
    script = (
        'srun -w n1 sh -c "exit 0" apptainer $(head -c 1000000 /dev/zero | tr "\\\\0" x | fold -w 100000)'
    )
    assert cluster.run("alice", ["bash", "-c", script]).returncode == 0
    (ask,) = asks(*started)
    assert sum(map(len, ask["arg"])) > 1_000_000


def test_the_image_is_opened_as_the_user(cluster: Cluster, agents: Any) -> None:
    """A file of another user that the requester may not read is not handed to the agent; a group's file is."""
    for name, mode, group in (("bob.sif", 0o600, 2002), ("group.sif", 0o640, 2100)):
        (cluster.scratch / name).write_text("image")
        (cluster.scratch / name).chmod(mode)
        cluster.run("root", ["chown", f"2002:{group}", f"/scratch/{name}"])
    script = [
        ("open", "/scratch/bob.sif"),
        ("open", "/scratch/group.sif"),
        ("open", "/proc/self/fd/3"),
        *ALLOW,
    ]
    (agent,) = agents(lambda ask: script if ask.verb == "ask" else ALLOW, "n1")
    assert cluster.run("alice", ["srun", "-w", "n1", "echo", "apptainer"]).returncode == 0
    assert agent.opened == [("13", b""), ("", b"image"), ("40", b"")]


def test_a_batch_script_is_only_looked_at(cluster: Cluster, agents: Any) -> None:
    """The script is sent as `prescan`; a refusal of that does not stop the script, one of its steps does fail."""
    started = agents(BLOCK, "n1")
    script = "#!/bin/sh\necho script runs\nsrun apptainer exec x.sif true || exit 7\n"
    done = cluster.run("alice", ["sbatch", "--parsable", "-w", "n1", "-o", "/scratch/batch.out"], text=script)
    job = cluster.wait_job(done.stdout.strip())
    text = (cluster.scratch / "batch.out").read_text()
    assert (job["JobState"], job["ExitCode"]) == ("FAILED", "7:0")
    assert text.startswith("script runs\n")
    assert "sifgate: launch refused: two KEV" in text
    scripts = [message.first("script") for message in started[0].asked if message.first("script")]
    assert scripts == [script.encode()]
    cluster.wait_idle()


def test_a_het_job_is_judged_component_by_component(cluster: Cluster, agents: Any, asks: Asks) -> None:
    """`srun a : b` asks for both commands, which client-side hooks never see."""
    started = agents(ALLOW)
    done = cluster.run("alice", ["srun", "-n1", "echo", "apptainer-a", ":", "-n1", "echo", "apptainer-b"])
    assert done.returncode == 0
    assert sorted(ask["arg"][1] for ask in asks(*started)) == [b"apptainer-a", b"apptainer-b"]
