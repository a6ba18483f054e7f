# SPDX-License-Identifier: Apache-2.0
"""What the hook adds to a container's start: the same runtime with /bin/true in its place, and without any hook.

A whole gate stands behind it. The image is a directory, which no digest stands for: the agent looks through it at each
start, and that is the difference. The hook's own part is measured with an agent that just says `allow`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from testbed.cluster import Cluster, install
from testbed.cluster.scripted import ScriptedAgent
from testbed.errors import TestbedError
from testbed.rootfs import obtain_tree

from bench.cold import POLICY
from bench.figure import Figure
from bench.gate import gate

LAPS = 40
JUDGED_LAPS = 10
IMAGE = "/images/clean"
BUNDLE = "/scratch/bundle"
PROGRAM = f"/{install.LIBEXEC}/sifgate-ask"
RUNTIMES = {"crun": "crun --cgroup-manager=disabled", "runc": "runc"}
_LAPS = """
import json, statistics, subprocess, sys, time
words, config, hooks, laps = json.loads(sys.argv[1])
times = [[] for _ in hooks]
plain = json.load(open(config))
for lap in range(laps + 1):
    for index, hook in enumerate(hooks):
        json.dump({**plain, "hooks": {"createRuntime": hook}}, open(config, "w"))
        started = time.perf_counter()
        name = f"bench-{lap}-{index}"  # the kernel may still be removing the last one's cgroup
        subprocess.run([*words, name], check=True, stdin=subprocess.DEVNULL)
        times[index].append(time.perf_counter() - started)
print(json.dumps([statistics.median(each[1:]) for each in times]))
"""
"""In the cluster, in one process: entering its namespaces does not count. The hooks take turns."""


def measure() -> list[Figure]:
    """Return the figures; needs root."""
    if os.geteuid() != 0:
        raise TestbedError("the OCI figures need root")
    with Cluster(
        nodes=("n1",), prepare=[install.programs], binds={"clean": obtain_tree("trixie")}
    ) as cluster:
        _bundle(cluster)
        with ScriptedAgent(cluster.node_root("n1") / "run/agent.sock", [("decide", "allow", {})]):
            alone = {name: _laps(cluster, name, LAPS) for name in RUNTIMES}
        with gate(POLICY, cluster.node_root("n1")):
            whole = {name: _laps(cluster, name, JUDGED_LAPS) for name in RUNTIMES}
    figures = []
    for name, (bare, true, ask) in alone.items():
        figures += [
            Figure(f"{name} without a hook, median", 1000 * bare, "ms"),
            Figure(f"{name} with /bin/true as hook, median", 1000 * true, "ms"),
            Figure(f"{name}: sifgate-ask over /bin/true, median", 1000 * (ask - true), "ms", target=2.0),
        ]
        _, before, judged = whole[name]
        figures.append(
            Figure(
                f"{name}: a directory judged at each start, over /bin/true, median",
                1000 * (judged - before),
                "ms",
                note="a tree of 129 MB, looked through each time",
            )
        )
    return figures


def _bundle(cluster: Cluster) -> None:
    cluster.run("root", ["mkdir", "-p", BUNDLE]).check()
    cluster.run("root", ["runc", "spec", "--bundle", BUNDLE]).check()
    path = cluster.scratch / Path(BUNDLE).name / "config.json"
    config = json.loads(path.read_text())
    config["process"] |= {"terminal": False, "args": ["true"]}
    config["root"] = {"path": IMAGE, "readonly": True}
    config["linux"]["resources"] = {}
    path.write_text(json.dumps(config))


def _laps(cluster: Cluster, runtime: str, laps: int) -> tuple[float, float, float]:
    """Return the median seconds of a start without a hook, with /bin/true, with sifgate-ask."""
    ask = {"path": PROGRAM, "args": ["sifgate-ask", "--socket", "/nodes/n1/run/agent.sock", "oci"]}
    words = [*RUNTIMES[runtime].split(), "run", "--bundle", BUNDLE]
    plan = [words, f"{BUNDLE}/config.json", [[], [{"path": "/bin/true"}], [ask]], laps]
    done = cluster.run("root", ["python3", "-c", _LAPS, json.dumps(plan)], limit=300).check()
    bare, true, asked = json.loads(done.stdout)
    return bare, true, asked
