# SPDX-License-Identifier: Apache-2.0
"""What the doors add: the plugin's own clock stamps in a real Slurm, and the prolog against a bare Python.

A whole gate stands behind both, and knows the image: these are warm launches. The plugin's stamps cover all that it
does in a step, from user_init to the answer in the task.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.cluster import Cluster, install
from testbed.errors import TestbedError
from testbed.images import obtain_image

from bench.cold import POLICY
from bench.figure import Figure, median_seconds, quantile
from bench.gate import gate

STEPS = 30
LAPS = 30
IMAGE = "trixie.sif"
LAUNCH = ("srun", "apptainer", "exec", f"/images/clean/{IMAGE}", "true")
HOST_PYTHON = "/usr/bin/python3"
"""What the prolog would run on: the distribution's Python, for both sides of the ratio."""


def measure() -> list[Figure]:
    """Return the figures; needs root."""
    if os.geteuid() != 0:
        raise TestbedError("the Slurm figures need root")
    binds = {"clean": obtain_image(IMAGE).parent}
    with Cluster(nodes=("n1",), prepare=[install.plugin, install.hooks], binds=binds) as cluster:
        bare = _steps(cluster)
        _plugstack(cluster, "required sifgate.so timing=/scratch/timing\n")
        with gate(POLICY, cluster.node_root("n1")):
            cluster.run("alice", LAUNCH).check()
            (cluster.scratch / "timing").unlink()
            guarded = _steps(cluster)
            stamps = _stamps(cluster.scratch / "timing")
            prolog = _prolog(cluster)
    return [
        Figure("srun without the plugin, median", 1000 * quantile(bare, 0.5), "ms"),
        Figure(
            "srun with the plugin, median",
            1000 * quantile(guarded, 0.5),
            "ms",
            note="noise exceeds the difference",
        ),
        Figure("plugin adds, median (own stamps)", quantile(stamps, 0.5), "ms", target=2.0),
        Figure("plugin adds, p95 (own stamps)", quantile(stamps, 0.95), "ms"),
        *prolog,
    ]


def _plugstack(cluster: Cluster, line: str) -> None:
    """Write plugstack.conf where the running cluster reads it: through its own view of the overlay."""
    cluster.run("root", ["sh", "-c", "cat > /etc/slurm/plugstack.conf"], text=line).check()


def _steps(cluster: Cluster) -> list[float]:
    laps = []
    for _ in range(STEPS):
        started = time.perf_counter()
        cluster.run("alice", LAUNCH).check()
        laps.append(time.perf_counter() - started)
    return laps


def _stamps(file: Path) -> list[float]:
    """Return the milliseconds of each step: both microsecond columns of the plugin's lines."""
    return [sum(int(word) for word in line.split()[2:4]) / 1000 for line in file.read_text().splitlines()]


def _prolog(cluster: Cluster) -> list[Figure]:
    """Run the installed prolog in the cluster, many in one process so that entering the namespace does not count."""
    environment = {
        "SLURM_JOB_ID": "4242",
        "SLURM_JOB_UID": "2001",
        "SLURM_JOB_GID": "2001",
        "SLURMD_NODENAME": "n1",
    }
    environment["SPANK__SLURM_SPANK_OPTION_pyxis_container_image"] = f"/images/clean/{IMAGE}"
    bare = _looped(cluster, [HOST_PYTHON, "-c", "pass"], environment)
    prolog = _looped(cluster, [install.PROLOG], environment)
    return [
        Figure("python3 -c pass", 1000 * bare, "ms"),
        Figure("prolog", 1000 * prolog, "ms"),
        Figure("  prolog, of a bare Python", prolog / bare, "×", target=3.0),
    ]


def _looped(cluster: Cluster, command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the mean seconds of a command over many runs inside the cluster."""
    entering = median_seconds(3, lambda: cluster.run("root", ["true"]))
    started = time.perf_counter()
    cluster.run(
        "root", ["sh", "-c", f"for lap in $(seq {LAPS}); do {shlex.join(command)}; done"], env=environment
    ).check()
    return (time.perf_counter() - started - entering) / LAPS
