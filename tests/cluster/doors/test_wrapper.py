# SPDX-License-Identifier: Apache-2.0
"""The wrapper before the real Apptainer, in the places where users start containers: scripts, shells, namespaces."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.cluster import gate as gates
from testbed.cluster.scripted import ScriptedAgent, Step
from testbed.cluster.wrapper import agent_everywhere, wrapped

from sifgate import wire

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.root]
KEV = "/images/kev/bullseye-kev.sif"
CLEAN = "/images/clean/trixie.sif"
UNSUPPORTED = "/images/unsupported/centos-7-runs.sif"
REFUSED = "sifgate: launch refused: 2 known-exploited vulnerabilities"


@pytest.fixture(scope="module")
def node(site: Cluster) -> Iterator[Cluster]:
    """Return the site with the wrapper in place and the images known; outside Slurm no agent answers."""
    with wrapped(site):
        with agent_everywhere(site, "d1"):
            for image in (KEV, CLEAN, UNSUPPORTED):
                site.run("alice", ["apptainer", "exec", image, "true"])
        yield site


@pytest.fixture
def shell(node: Cluster) -> Iterator[Cluster]:
    """Return the site with the wrapper, whose agent answers outside Slurm as well."""
    with agent_everywhere(node, "d1"):
        yield node


def test_a_batch_script_is_stopped_where_it_launches(shell: Cluster) -> None:
    """Words that the submission cannot tell; the rest of the script goes on and sees 255, the job is no failure."""
    hidden = f'#!/bin/sh\nx=exe; "$(printf appt)ainer" "${{x}}c" {KEV} echo PAYLOAD\necho "code $?"\n'
    job = (
        shell.run("alice", ["sbatch", "--parsable", "-o", "/scratch/out"], text=hidden).check().stdout.strip()
    )
    assert shell.wait_job(job)["JobState"] == "COMPLETED"
    output = (shell.scratch / "out").read_text()
    assert REFUSED in output
    assert "code 255\n" in output
    assert "PAYLOAD" not in output


@pytest.mark.parametrize(
    "command",
    [
        f"apptainer exec {KEV} true",
        f"singularity run {KEV}",
        f"run-singularity {KEV}",
        f"apptainer -q shell {KEV}",
        f"apptainer test {KEV}",
        f"apptainer run-help {KEV}",
        f"apptainer instance start {KEV} one",
        f"cd /images/kev && apptainer exec -B /tmp:/mnt ./bullseye-kev.sif true",  # noqa: F541
        f"ln -sfn {KEV} /tmp/a && ln -sfn a /tmp/b && ln -sfn /tmp/b /tmp/c.sif && apptainer exec /tmp/c.sif true",
        f"ln -sfn {KEV} $'/tmp/\\xff\\n.sif' && apptainer exec $'/tmp/\\xff\\n.sif' true",
        f"nohup setsid -w env -i PATH=$PATH apptainer exec {KEV} true",
        f"unshare -r apptainer exec {KEV} true",
        f"touch /tmp/ok.sif && unshare -rm sh -c 'mount --bind {KEV} /tmp/ok.sif && apptainer exec /tmp/ok.sif true'",
    ],
)
def test_a_shell_is_refused_however_it_launches(shell: Cluster, command: str) -> None:
    """By every name and verb, through links, in a user's own namespaces; nothing of the image runs."""
    done = shell.run("alice", ["bash", "-c", command])
    shell.run("alice", ["sh", "-c", "rm -f /tmp/a /tmp/b /tmp/*.sif"])
    assert (done.returncode, done.stdout) == (255, "")
    assert REFUSED in done.stderr


def test_a_judged_image_runs_as_if_nothing_were_there(shell: Cluster) -> None:
    """Input, output and exit code are the program's; nothing is said."""
    words = ["apptainer", "exec", CLEAN, "sh", "-c", "cat; echo err >&2; exit 7"]
    done = shell.run("alice", words, text="data")
    assert (done.returncode, done.stdout, done.stderr) == (7, "data", "err\n")


def test_what_starts_nothing_is_not_disturbed(shell: Cluster) -> None:
    """Also where it names the image that may not run."""
    done = shell.run(
        "alice", ["sh", "-c", f"apptainer --version && singularity inspect {KEV} && apptainer cache list"]
    )
    assert (done.returncode, "sifgate" in done.output) == (0, False)


@pytest.mark.parametrize("flag", ["--unsquash", "--fakeroot"])
def test_helpers_of_the_runtime_pass(shell: Cluster, gate_root: Path, flag: str) -> None:
    """Unpacking into a sandbox, or a new user namespace, starts the runtime's public name again: one record of it."""
    before = len(gates.records(gate_root, "wrapper"))
    done = shell.run("alice", ["apptainer", "exec", flag, CLEAN, "echo", "hi"])
    assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr
    assert len(gates.records(gate_root, "wrapper")) == before + 1


def test_inside_a_container_nobody_is_asked_again(shell: Cluster) -> None:
    """What starts there was judged with the container; the same words outside are refused."""
    put = "mkdir /tmp/in && cd /tmp/in && cp /usr/bin/apptainer . && cp /bin/echo apptainer.real"
    for outer, code, output in (("", 255, ""), (f"apptainer exec {CLEAN}", 0, f"exec {KEV}\n")):
        done = shell.run(
            "alice",
            ["bash", "-c", f"{put}; {outer} ./apptainer exec {KEV}; code=$?; rm -r /tmp/in; exit $code"],
        )
        assert (done.returncode, done.stdout) == (code, output), done.stderr


def test_ranks_of_a_loop_warn_once_and_refuse_each(shell: Cluster) -> None:
    """As under mpirun: rank 0 reads the warning; every rank says in a line that it was refused."""
    loop = "for r in 0 1 2 3; do OMPI_COMM_WORLD_RANK=$r apptainer exec {} true; done"
    warned = shell.run("alice", ["setsid", "-w", "bash", "-c", loop.format(UNSUPPORTED)])
    refused = shell.run("alice", ["setsid", "-w", "bash", "-c", loop.format(KEV)])
    assert (warned.returncode, warned.stderr.count("sifgate: warning")) == (0, 1)
    assert (refused.returncode, refused.stderr.count("launch refused")) == (255, 4)
    assert refused.stderr.count("  why ") == 1


def test_a_step_is_decided_once_by_both_doors(node: Cluster, gate_root: Path) -> None:
    """The SPANK plugin asks for the task, the wrapper is the task: one record, one warning."""
    before = len((gate_root / "log/audit.jsonl").read_text().splitlines())
    done = node.run("alice", ["srun", "-n1", "apptainer", "exec", UNSUPPORTED, "true"]).check()
    lines = (gate_root / "log/audit.jsonl").read_text().splitlines()[before:]
    doors = [json.loads(line)["door"] for line in lines if json.loads(line)["door"] in {"spank", "wrapper"}]
    assert doors == ["spank"]
    assert done.stderr.count("sifgate: warning") == 1


def test_an_image_that_root_cannot_look_at_is_never_silently_passed(shell: Cluster) -> None:
    """On a FUSE mount that is the user's alone the agent may not even stat what it is given: `unresolved`."""
    commands = (
        f"mkdir -p /tmp/fuse/in /tmp/fuse/out && cp {KEV} /tmp/fuse/in/x.sif"
        " && mksquashfs /tmp/fuse/in /tmp/fuse/x.sqfs -noI -noD -noF -noX -quiet -no-progress >/dev/null"
        " && squashfuse /tmp/fuse/x.sqfs /tmp/fuse/out"
    )
    shell.run("alice", ["bash", "-c", commands]).check()
    try:
        unreadable = shell.run("root", ["cat", "/tmp/fuse/out/x.sif"])
        done = shell.run("alice", ["apptainer", "exec", "/tmp/fuse/out/x.sif", "true"])
    finally:
        shell.run("alice", ["fusermount3", "-u", "/tmp/fuse/out"]).check()
        shell.run("alice", ["rm", "-rf", "/tmp/fuse"]).check()
    assert "Permission denied" in unreadable.stderr
    assert REFUSED in done.stderr or 'state "unresolved"' in done.stderr


def test_a_thousand_launches_at_once_are_all_answered(shell: Cluster) -> None:
    """Behind the wrapper is /bin/true: what is measured is the asking. All pass, or all are refused."""
    script = (
        "mkdir -p /tmp/many && cd /tmp/many && cp /usr/bin/apptainer . && cp /bin/true apptainer.real\n"
        f"for image in {CLEAN} {KEV}; do for i in $(seq 1000); do"
        " (./apptainer exec $image true 2>/dev/null; echo $?) & done; wait; done | sort | uniq -c; rm -r /tmp/many"
    )
    began = time.monotonic()
    done = shell.run("alice", ["bash", "-c", script], limit=100)
    assert done.stdout.split() == ["1000", "0", "1000", "255"]
    assert time.monotonic() - began < 60


def test_there_is_no_moment_without_the_runtime(shell: Cluster) -> None:
    """While the door is taken away and put back by the command line, with dpkg's records, every launch succeeds."""
    (shell.scratch / "stop").unlink(missing_ok=True)
    lap = "singularity --version >/dev/null || echo FAILED; n=$((n+1))"
    loop = f"n=0; until [ -e /scratch/stop ]; do {lap}; done; echo $n"
    with shell.start("alice", ["bash", "-c", loop]) as looping:
        for task in ("remove", "install") * 3:
            done = gates.sifgate(shell.work, "wrapper", task, "--tree", str(shell.tree))
            assert done.returncode == 0, done.stderr
        (shell.scratch / "stop").touch()
        output, error = looping.communicate(timeout=30)
    assert (output.splitlines()[:-1], error) == ([], "")
    assert int(output) > 10
    shown = gates.sifgate(shell.work, "wrapper", "status", "--tree", str(shell.tree))
    assert (shown.returncode, "before /usr/bin/apptainer" in shown.stdout) == (0, True)


@pytest.mark.parametrize(
    ("action", "code", "says"), [("allow", 0, ""), ("warn", 0, "not checked"), ("block", 255, "refused")]
)
def test_without_an_agent_the_posture_counts(node: Cluster, action: str, code: int, says: str) -> None:
    """Where nobody answers, as on a login node without an agent; verbs that start nothing always work."""
    posture = node.login / "etc/posture"
    posture.write_text(f"sifgate-posture 1\nagent_unreachable {action}\nscan_wait_ms 2000\ncontact a@site\n")
    try:
        done = node.run("alice", ["apptainer", "exec", CLEAN, "echo", "hi"])
        assert node.run("alice", ["apptainer", "--version"]).returncode == 0
    finally:
        posture.unlink()
    assert (done.returncode, done.stdout) == (code, "hi\n" if code == 0 else "")
    assert says in done.stderr
    assert bool(says) == ("sifgate" in done.stderr)


def swapped(node: Cluster, how: str) -> tuple[int, str]:
    """Launch an image that somebody replaces between the question and the start; return exit code and what ran."""
    place = node.scratch / "swap"
    place.mkdir()
    place.chmod(0o755)
    image = place / "x.sif"
    shutil.copy(obtained("clean"), image)
    shutil.copy(obtained("unsupported"), place / "other")

    def script(_ask: wire.Message) -> Iterator[Step]:
        yield ("open", "/scratch/swap/x.sif")
        if how == "moved away":
            image.rename(place / "kept")
        (place / "other").rename(image)
        yield ("decide", "allow", {"word": "2"})

    try:
        with ScriptedAgent(node.login / "run/agent.sock", script):  # type: ignore[arg-type]
            done = node.run("alice", ["apptainer", "exec", "/scratch/swap/x.sif", "cat", "/etc/os-release"])
    finally:
        shutil.rmtree(place)
    return done.returncode, done.stdout


def obtained(role: str) -> Path:
    """Return the host's path of an image."""
    from testbed.images import obtain_image

    return obtain_image({"clean": "trixie.sif", "unsupported": "centos-7-runs.sif"}[role])


def test_a_replaced_image_runs_unjudged_without_the_option(node: Cluster) -> None:
    """The residual race of a door that judges a name: said, not hidden."""
    code, ran = swapped(node, "replaced")
    assert (code, "CentOS" in ran) == (0, True)


@pytest.mark.parametrize("how", ["replaced", "moved away"])
def test_with_the_option_only_what_was_judged_runs(node: Cluster, how: str) -> None:
    """Replaced: the runtime finds no file any more. Moved away: it runs from where it lies now."""
    option = node.login / "etc/run-judged"
    option.touch()
    try:
        code, ran = swapped(node, how)
        plain = node.run("alice", ["apptainer", "exec", CLEAN, "true"])
    finally:
        option.unlink()
    assert "CentOS" not in ran
    assert (code, "Debian" in ran) == ((0, True) if how == "moved away" else (255, False))
    assert plain.returncode == 0
