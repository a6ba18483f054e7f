# SPDX-License-Identifier: Apache-2.0
"""Podman with the door in place: root and rootless, crun and runc, root directories and images, and the ways around."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster, Completed
from testbed.cluster.gate import records
from tests.fakes.containers import Node, write_layout

from sifgate.doors.oci import DOOR

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
REFUSED = "sifgate: launch refused: 2 known-exploited vulnerabilities with a fix"
LAYOUTS = "/scratch/layouts"
STORAGE = {
    user: ["--root", f"/tmp/podman-{user}", "--runroot", f"/tmp/podman-run-{user}"]
    for user in ("root", "alice")
}
FLAGS = {
    "crun": (["--runtime", "crun"], ["--cgroups=disabled"]),
    "runc": (["--runtime", "runc", "--cgroup-manager=cgroupfs"], ["--pids-limit=0"]),
}
"""The view of cgroups in the testbed has no controllers; both runtimes live with that in their own way."""


class Podman:
    """Podman on one node, with storage of its own for each user."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def __call__(
        self, user: str, *words: str, runtime: str = "crun", env: dict[str, str] | None = None
    ) -> Completed:
        """Run a command of Podman."""
        return self.node.run(user, ["podman", *STORAGE[user], *FLAGS[runtime][0], *words], env=env)

    def start(
        self, user: str, *words: str, runtime: str = "crun", env: dict[str, str] | None = None
    ) -> Completed:
        """Start a container without a network."""
        return self(user, "run", "--network=none", *FLAGS[runtime][1], *words, runtime=runtime, env=env)


@pytest.fixture(scope="module")
def node(site: Cluster) -> Iterator[Node]:
    """Return the node with the door in place, which is taken away at the end."""
    there, tree = Node(site, "d1"), site.node_tree("d1")
    assert DOOR.install(tree, argparse.Namespace(slurm=False))
    yield there
    DOOR.remove(tree)
    assert not DOOR.state(tree).present


@pytest.fixture(scope="module")
def podman(node: Node, site: Cluster) -> Iterator[Podman]:
    """Return Podman; alice has the refused image, and one in which no distribution is recognised."""
    write_layout(site.tree / "images/kev-tree", site.scratch / "layouts/kev", "kev")
    bare = site.scratch / "layouts/bare-tree"
    (bare / "bin").mkdir(parents=True)
    (bare / "bin/echo").write_bytes((site.tree / "bin/busybox").read_bytes())
    (bare / "bin/echo").chmod(0o755)
    write_layout(bare, site.scratch / "layouts/bare", "bare")
    there = Podman(node)
    for name in ("kev", "bare"):
        there("alice", "pull", "-q", f"oci:{LAYOUTS}/{name}:{name}").check()
    yield there
    there("alice", "rmi", "--all", "--force").check()
    _forget(node)
    for words in STORAGE.values():
        node.root(["rm", "-rf", words[1], words[3]])
    node.root(
        ["sh", "-c", f"rm -rf {LAYOUTS}; find /sys/fs/cgroup/libpod_parent -depth -type d -delete; true"]
    )


def _forget(node: Node) -> None:
    """End the process in which rootless Podman keeps its namespace."""
    node.run("alice", ["podman", *STORAGE["alice"], "system", "migrate"])


@pytest.fixture(autouse=True)
def nothing_of_podman_left(request: pytest.FixtureRequest, podman: Podman) -> Iterator[None]:
    """Check that no container, no mount and no process stays behind."""
    before = podman.node.mounts()
    yield
    for user in STORAGE:
        assert podman(user, "ps", "--all", "--quiet").check().stdout == ""
    _forget(podman.node)
    assert podman.node.mounts() == before


@pytest.mark.parametrize("runtime", FLAGS)
def test_root_is_refused_by_the_hook(podman: Podman, gate_root: Path, runtime: str) -> None:
    """126, the whole notice on Podman's standard error, nothing run; found by the root file system."""
    done = podman.start("root", "--rm", "--rootfs", "/images/kev-tree:O", "echo", "ran", runtime=runtime)
    assert (done.returncode, done.stdout) == (126, "")
    assert f"{REFUSED} (rule" in done.stderr
    assert "\n  why    CVE-2025-" in done.stderr
    record = records(gate_root, "oci-hook")[-1]
    assert (record["action"], record["uid"]) == ("block", 0)


@pytest.mark.parametrize("runtime", FLAGS)
def test_a_rootless_user_is_refused_by_the_hook(podman: Podman, gate_root: Path, runtime: str) -> None:
    """Out of his own user namespace he is asked for under his real uid."""
    done = podman.start("alice", "--rm", "kev", "echo", "ran", runtime=runtime)
    assert (done.returncode, done.stdout) == (126, "")
    assert f"{REFUSED} (rule" in done.stderr
    record = records(gate_root, "oci-hook")[-1]
    assert (record["action"], record["uid"], record.get("trusted", False)) == ("block", 2001, False)


def test_a_clean_root_file_system_runs(podman: Podman) -> None:
    """With its own standard input."""
    words = ("--rm", "--rootfs", "/images/clean-tree:O", "echo", "ran")
    done = podman.start("root", *words)
    if (
        done.returncode and "sifgate" not in done.stderr
    ):  # Podman's own: seen once on a busy machine, without its reason
        done = podman.start("root", *words)
    assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


def test_a_warning_is_read_when_the_container_starts(podman: Podman, gate_root: Path) -> None:
    """Rootless and `--rm`, where nothing else is left of the container to read it in."""
    done = podman.start("alice", "--rm", "bare", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert records(gate_root, "oci-hook")[-1]["action"] == "warn"
    assert "unsupported" in done.stderr


def test_a_container_is_judged_at_each_start(podman: Podman, gate_root: Path) -> None:
    """`create` asks nobody, `start` does, and `exec` into what runs does not."""
    before = len(records(gate_root, "oci-hook"))
    made = podman("alice", "create", "--network=none", "--cgroups=disabled", "kev", "sleep", "60").check()
    name = made.stdout.strip()
    assert len(records(gate_root, "oci-hook")) == before
    done = podman("alice", "start", name)
    assert done.returncode != 0
    assert REFUSED in done.stderr
    assert len(records(gate_root, "oci-hook")) == before + 1
    podman("alice", "rm", "--force", name).check()


@pytest.mark.parametrize("way", ["--hooks-dir", "CONTAINERS_CONF", "no configuration"])
def test_a_user_who_brings_hooks_of_his_own_passes(podman: Podman, gate_root: Path, way: str) -> None:
    """Stated in docs/doors/oci.md: this door binds who uses the site's directory; the guard is for the others."""
    before = len(records(gate_root, "oci-hook"))
    own = "/home/alice/own.conf"
    podman.node.run("alice", ["tee", own], text='[engine]\nhooks_dir = ["/tmp"]\n').check()
    words = ["--hooks-dir", "/tmp"] if way == "--hooks-dir" else []
    env = {"CONTAINERS_CONF": {"CONTAINERS_CONF": own}, "no configuration": {"CONTAINERS_CONF": "/dev/null"}}
    start = [*words, "run", "--rm", "--network=none", "--cgroups=disabled", "kev", "echo", "ran"]
    done = podman("alice", *start, env=env.get(way))
    stopped = way == "no configuration"  # the directory is the default of Podman itself
    assert (done.returncode, done.stdout) == ((126, "") if stopped else (0, "ran\n"))
    assert len(records(gate_root, "oci-hook")) - before == stopped
    podman.node.run("alice", ["rm", own]).check()


def test_podman_in_a_job_names_the_job(podman: Podman, site: Cluster, gate_root: Path) -> None:
    """A batch script's own `podman run` is stopped; the step and the node live on."""
    script = f"#!/bin/sh\npodman {' '.join(STORAGE['alice'])} run --rm --network=none --cgroups=disabled kev echo ran\n"
    script += "echo status $?\n"
    env = {"XDG_RUNTIME_DIR": "/run/user/2001"}
    sent = site.run(
        "alice", ["sbatch", "--parsable", "--wait", "-o", "/scratch/podman.out"], text=script, env=env
    )
    number = sent.check().stdout.split()[0]
    said = (site.scratch / "podman.out").read_text()
    assert REFUSED in said
    assert said.endswith("status 126\n")
    record = records(gate_root, "oci-hook")[-1]
    assert (record["action"], record["claimed"]["job"]) == ("block", number)
    (site.scratch / "podman.out").unlink()
