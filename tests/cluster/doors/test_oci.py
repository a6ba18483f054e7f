# SPDX-License-Identifier: Apache-2.0
"""crun and runc with the hook in a bundle's config.json: real images of real distributions, as root and rootless."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.cluster.gate import records
from tests.fakes.containers import HOOK, Node

from sifgate.doors.oci import FILES

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
KEV, CLEAN, BARE = "/images/kev-tree", "/images/clean-tree", "/scratch/bare"
REFUSED = "sifgate: launch refused: 2 known-exploited vulnerabilities with a fix"
RUNTIMES = [(runtime, user) for runtime in ("crun", "runc") for user in ("root", "alice")]
STATUS = {"crun": 255, "runc": 1}


@pytest.fixture(scope="module")
def node(site: Cluster) -> Iterator[Node]:
    """Return the node, with a root file system in which no distribution is recognised."""
    there = Node(site, "d1")
    there.root(["sh", "-c", f"mkdir -p {BARE}/bin {BARE}/proc {BARE}/dev {BARE}/sys {BARE}/run"])
    there.root(["sh", "-c", f"cp /bin/busybox {BARE}/bin/ && ln -sf busybox {BARE}/bin/cat"])
    there.root(["ln", "-sf", "busybox", f"{BARE}/bin/echo"])
    yield there
    there.root(
        ["rm", "-rf", BARE, "/tmp/bundle-root", "/tmp/bundle-alice", "/tmp/runs-root", "/tmp/runs-alice"]
    )


def _start(
    node: Node, runtime: str, user: str, image: str, *argv: str, text: str = ""
) -> tuple[int, str, str]:
    bundle = f"/tmp/bundle-{user}"
    node.bundle(bundle, image, argv or ["echo", "the container runs"], user=user)
    words = [
        runtime,
        *(["--cgroup-manager=disabled"] if runtime == "crun" else []),
        "--root",
        f"/tmp/runs-{user}",
    ]
    done = node.run(user, [*words, "run", "--bundle", bundle, "test"], text=text)
    listed = node.run(user, [*words, "list", "-q"])
    assert listed.stdout.split() == []
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("runtime", "user"), RUNTIMES)
def test_a_known_exploited_image_is_refused(node: Node, gate_root: Path, runtime: str, user: str) -> None:
    """The notice is on the user's standard error, nothing runs and nothing stays, the record is the door's."""
    before = node.mounts()
    status, out, err = _start(node, runtime, user, KEV)
    assert (status, out) == (STATUS[runtime], "")
    assert err.count(f"{REFUSED} (rule") - ("stderr: sifgate" in err) == 1
    assert "\n  why    CVE-2025-" in err
    record = records(gate_root, "oci-hook")[-1]
    assert (record["action"], record["path"], record["uid"]) == ("block", KEV, 0 if user == "root" else 2001)
    assert node.mounts() == before


@pytest.mark.parametrize(("runtime", "user"), RUNTIMES)
def test_a_clean_image_runs_as_without_us(node: Node, gate_root: Path, runtime: str, user: str) -> None:
    """It reads its own standard input; all that is said is that a directory is looked through again."""
    status, out, err = _start(node, runtime, user, CLEAN, "cat", text="for the container\n")
    assert (status, out) == (0, "for the container\n")
    assert [line for line in err.splitlines() if "sifgate" in line and "being scanned" not in line] == []
    assert records(gate_root, "oci-hook")[-1]["action"] in {"allow", "log"}


@pytest.mark.parametrize(("runtime", "user"), RUNTIMES)
def test_an_image_that_nobody_knows_is_warned_about(
    node: Node, gate_root: Path, runtime: str, user: str
) -> None:
    """The container runs, and its user reads the warning although runtimes drop what their hooks say."""
    status, out, err = _start(node, runtime, user, BARE)
    assert (status, out) == (0, "the container runs\n")
    record = records(gate_root, "oci-hook")[-1]
    assert (record["action"], record["state"]) == ("warn", "unsupported")
    if runtime == "crun":
        assert "unsupported" in err


def test_sarus_comes_through_the_hook(node: Node, gate_root: Path) -> None:
    """Sarus is setuid root and runs runc with the site's hooks, once for each rank, in the job's environment.

    After its documentation: it reads the same JSON as Podman, refuses hooks that others than root could write, and
    is in no registry. Root's word counts for the agent, so the hook sends no job that a user may have put there.
    """
    document = json.loads(FILES["sifgate.json"])
    assert document["stages"] == ["createRuntime"]
    assert node.root(["stat", "-c", "%u %a", document["hook"]["path"]]).stdout == "0 755\n"
    node.bundle("/tmp/bundle-root", KEV, ["echo", "ran"], hook=document["hook"])
    env = {"SLURM_JOB_ID": "4711", "SLURM_PROCID": "1"}
    done = node.run(
        "root", ["runc", "--root", "/tmp/runs-root", "run", "--bundle", "/tmp/bundle-root", "s"], env=env
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{REFUSED} (rule")
    assert "  why  " not in done.stderr
    record = records(gate_root, "oci-hook")[-1]
    assert (record["action"], record.get("job")) == ("block", None)


def test_a_root_that_root_cannot_look_into_is_unresolved(node: Node, gate_root: Path) -> None:
    """On a FUSE mount of the user's own: no guess, the policy's action for `unresolved`, and the user reads why."""
    node.root(["sh", "-c", f"mksquashfs {BARE} /tmp/bare.sqsh -quiet -no-progress -noI -noD"])
    node.run("alice", ["mkdir", "-p", "/tmp/fuse"]).check()
    node.run("alice", ["squashfuse", "/tmp/bare.sqsh", "/tmp/fuse"]).check()
    try:
        status, out, err = _start(node, "crun", "alice", "/tmp/fuse")
    finally:
        node.run("alice", ["fusermount3", "-u", "/tmp/fuse"]).check()
        node.root(["rm", "-rf", "/tmp/fuse", "/tmp/bare.sqsh"])
    assert (status, out) == (0, "the container runs\n")
    assert "unresolved" in err
    record = records(gate_root, "oci-hook")[-1]
    assert (record["state"], record["action"], record["uid"]) == ("unresolved", "warn", 2001)


@pytest.mark.parametrize("fault", ["no agent socket", "posture refuses"])
def test_without_the_agent_the_posture_decides(node: Node, fault: str) -> None:
    """The default posture lets the container run in silence; one that refuses says so on the terminal."""
    words = ["--socket", "/nowhere/agent.sock"]
    if fault == "posture refuses":
        node.root(["tee", "/run/refuses"], text="sifgate-posture 1\nagent_unreachable block\n")
        words += ["--posture", "/run/refuses"]
    hook = {**HOOK, "args": ["sifgate-ask", *words, "oci"]}
    node.bundle("/tmp/bundle-root", CLEAN, ["echo", "ran"], hook=hook)
    done = node.run(
        "root",
        [
            "crun",
            "--cgroup-manager=disabled",
            "--root",
            "/tmp/runs-root",
            "run",
            "--bundle",
            "/tmp/bundle-root",
            "t",
        ],
    )
    if fault == "posture refuses":
        assert (done.returncode, done.stdout) == (255, "")
        assert done.stderr.startswith("sifgate: launch refused: nobody on this node could judge the image")
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
