# SPDX-License-Identifier: Apache-2.0
"""`sifgate doctor`, `disable` and `enable` on a real node: what is there is fine, what is taken away is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.cluster.gate import sifgate

pytestmark = [pytest.mark.cluster, pytest.mark.engine]
LAUNCH = "apptainer exec /images/kev/bullseye-kev.sif echo the container runs; true"
WELL = (
    "agent",
    "socket",
    "policy",
    "posture",
    "sandbox",
    "server",
    "Clair",
    "clock",
    "audit log",
    "disk (log)",
)


@pytest.fixture
def node(site: Cluster) -> Iterator[Path]:
    """Return the root of the node as its slurmd sees it, with its own agent at the usual place."""
    pid = site.run("root", ["pgrep", "-x", "-o", "slurmd"]).stdout.strip()
    host = next(
        entry
        for entry in Path("/proc").glob("[0-9]*")
        if (entry / "comm").read_text() == "slurmd\n" and _inner_pid(entry) == pid and _in(site, entry)
    )
    tree = host / "root"
    yield tree
    for words in (("enable",), ("wrapper", "remove")):
        sifgate(site.node_root("d1"), *words, "--tree", str(tree))


def _inner_pid(entry: Path) -> str:
    return (entry / "status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1]


def _in(site: Cluster, entry: Path) -> bool:
    return (entry / "ns/pid").readlink() == (site.tree.parent / "ns/pid").readlink()


def seen(site: Cluster, tree: Path) -> dict[str, list[dict[str, str]]]:
    """Return what the doctor finds, by subject."""
    done = sifgate(site.node_root("d1"), "doctor", "--format", "json", "--tree", str(tree))
    document = json.loads(done.stdout)
    assert document["fine"] is (done.returncode == 0)
    found: dict[str, list[dict[str, str]]] = {}
    for each in document["findings"]:
        found.setdefault(each["subject"], []).append(each)
    return found


def test_the_doctor_sees_a_node_and_its_doors(site: Cluster, node: Path) -> None:
    """The gate is well, the wrapper's test launch reaches the agent, and every problem has its remedy."""
    sifgate(site.node_root("d1"), "wrapper", "install", "--tree", str(node)).check_returncode()
    found = seen(site, node)
    assert {subject: found[subject][0]["health"] for subject in WELL} == dict.fromkeys(WELL, "fine")
    assert [each["health"] for each in found["door wrapper"]] == ["fine"]
    problems = [each for rows in found.values() for each in rows if each["health"] == "problem"]
    assert all(each["detail"] and each["remedy"] for each in problems)


def test_a_wrapper_that_asks_nobody_is_found(site: Cluster, node: Path) -> None:
    """A program with the wrapper's mark that does not ask: in place by its looks, but nothing reaches the agent."""
    root = site.node_root("d1")
    sifgate(root, "wrapper", "install", "--tree", str(node)).check_returncode()
    mark = "sifgate-wrapper: takes the place of a container runtime"
    fake = f"#!/bin/sh\\n# {mark}\\nexit 0\\n"
    for name in ("libexec/sifgate/sifgate-wrapper", "bin/apptainer"):
        put = f"mv /usr/{name} /usr/{name}.kept && printf '{fake}' > /usr/{name} && chmod +x /usr/{name}"
        site.run("root", ["sh", "-c", put]).check()
    try:
        rows = seen(site, node)["door wrapper"]
    finally:
        for name in ("libexec/sifgate/sifgate-wrapper", "bin/apptainer"):
            site.run("root", ["mv", f"/usr/{name}.kept", f"/usr/{name}"]).check()
    assert "does not reach the agent" in rows[-1]["detail"]


def test_disable_opens_the_way_and_enable_closes_it(site: Cluster, node: Path) -> None:
    """Refused, then run as if sifgate had never been there, then refused again; the doctor reminds in between."""
    root = site.node_root("d1")
    sifgate(root, "wrapper", "install", "--tree", str(node)).check_returncode()

    def runs() -> bool:
        done = site.run("alice", ["srun", "bash", "-s"], text=LAUNCH)
        assert done.returncode == 0
        return "the container runs" in done.stdout

    assert not runs()
    sifgate(root, "disable", "wrapper", "--tree", str(node)).check_returncode()
    assert runs()
    (row,) = seen(site, node)["door wrapper"]
    assert (row["health"], row["remedy"]) == ("problem", "sifgate enable wrapper")
    sifgate(root, "enable", "wrapper", "--tree", str(node)).check_returncode()
    assert not runs()
