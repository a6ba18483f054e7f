# SPDX-License-Identifier: Apache-2.0
"""What asking at submission adds to sbatch: by the SPANK plugin beside an agent, and by job_submit.lua in slurmctld.

A whole gate stands behind both, and knows the image of the script: these are the submissions of every day.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from testbed.cluster import Cluster, install
from testbed.errors import TestbedError
from testbed.images import obtain_image

from bench.cold import POLICY
from bench.figure import Figure
from bench.gate import gate

LAPS = 20
ROUNDS = 3
IMAGE = "trixie.sif"
SUBMIT = f'sbatch -Q --hold -o /dev/null --wrap "srun apptainer exec /images/clean/{IMAGE} true"'
PLUGIN = "required sifgate.so\n"
PLAIN = "".join(
    f"function slurm_job_{name} return slurm.SUCCESS end\n"
    for name in ("submit(j, p, u)", "modify(j, r, p, u)")
)
BUDGET_MS = 50.0
"""What a submission may cost at most, whatever the agent does."""


def measure() -> list[Figure]:
    """Return the figures; needs root."""
    if os.geteuid() != 0:
        raise TestbedError("the Slurm figures need root")
    binds = {"clean": obtain_image(IMAGE).parent}
    prepare = [install.plugin, install.submission, _plain]
    with Cluster(nodes=("n1",), settings=["JobSubmitPlugins=lua"], prepare=prepare, binds=binds) as cluster:
        with gate(POLICY, cluster.node_root("n1")):
            shipped = (cluster.tree / "usr/share/sifgate/slurm/job_submit.lua").read_text()
            _share_agent(cluster)
            _configure(cluster, PLUGIN, PLAIN)
            _warm(cluster)
            rounds = [_round(cluster, shipped) for _ in range(ROUNDS)]
            cluster.run("root", ["umount", "/run/sifgate"]).check()
        cluster.run("root", ["scancel", "-u", "alice"])
    plain, plugin, filtered = (min(column) for column in zip(*rounds, strict=True))
    return [
        Figure("sbatch without sifgate", plain, "ms"),
        Figure("SPANK plugin and agent add to sbatch", plugin - plain, "ms", target=BUDGET_MS),
        Figure("job_submit.lua and agent add to sbatch", filtered - plain, "ms", target=BUDGET_MS),
    ]


def _plain(root: Path) -> None:
    (root / "etc/slurm/job_submit.lua").write_text(PLAIN)


def _share_agent(cluster: Cluster) -> None:
    """Let the node's agent be the one where users submit, too."""
    cluster.run("root", ["mount", "--bind", "/nodes/n1/run", "/run/sifgate"]).check()


def _configure(cluster: Cluster, plugstack: str, job_submit: str) -> None:
    (cluster.tree / "etc/slurm/plugstack.conf").write_text(plugstack)
    (cluster.tree / "etc/slurm/job_submit.lua").write_text(job_submit)
    time.sleep(1.1)  # slurmctld looks at whole seconds of the file's time


def _warm(cluster: Cluster) -> None:
    """Have the image known by the path over which it is submitted."""
    for _ in range(5):
        _submit(cluster, 1)
        time.sleep(1)


def _round(cluster: Cluster, shipped: str) -> tuple[float, float, float]:
    """Return milliseconds a submission: bare, with the plugin, with job_submit.lua; side by side in time."""
    laps = []
    for plugstack, job_submit in (("", PLAIN), (PLUGIN, PLAIN), ("", shipped)):
        _configure(cluster, plugstack, job_submit)
        _submit(cluster, 1)
        laps.append(_submit(cluster, LAPS))
    return laps[0], laps[1], laps[2]


def _submit(cluster: Cluster, laps: int) -> float:
    """Return the mean milliseconds of sbatch, timed inside so that entering the namespace does not count."""
    script = (
        f"began=$(date +%s%N); for lap in $(seq {laps}); do {SUBMIT}; done; echo $(($(date +%s%N) - began))"
    )
    return int(cluster.run("alice", ["sh", "-c", script]).check().stdout) / laps / 1e6
