# SPDX-License-Identifier: Apache-2.0
"""The guard beside a cluster: it runs on the host, as on any node, and marks the cluster's files only."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from testbed.cluster.harness import Cluster
from testbed.errors import TestbedError

STARTER = "/usr/lib/x86_64-linux-gnu/apptainer/bin/starter"
MARKED = (
    *(STARTER, "/etc/apptainer/ecl.toml", "/usr/bin/squashfuse", "/usr/bin/squashfuse_ll"),
    *("/usr/bin/crun", "/usr/sbin/runc"),
)
"""Copied up before they are marked: the tree below is shared with every other cluster of this host."""
START_LIMIT = 10.0


@contextlib.contextmanager
def guarded(cluster: Cluster, node: str, *lines: str) -> Iterator[Path]:
    """Run the guard for one node, `lines` added to its configuration; yield its log. Needs `install.programs`."""
    root, log = cluster.node_root(node), cluster.work / f"guard-{node}.log"
    cluster.run("root", ["touch", *MARKED]).check()
    settings = [
        *(f"tree {cluster.tree}", f"socket {root}/run/agent.sock", f"posture {root}/etc/posture"),
        *(f"state {root}/run/guard.state", "deadline_ms 15000", *lines),
    ]
    words = [word for line in settings for word in ("--set", line)]
    command = [str(cluster.work / "programs/sifgate-guard"), "--config", "/nonexistent", *words]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=out)
    try:
        _wait_ready(process, log)
        yield log
    finally:
        process.terminate()
        process.wait(10)
        log.unlink(missing_ok=True)


def _wait_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_LIMIT
    while "ready: " not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            raise TestbedError(f"the guard is not ready: {log.read_text(errors='replace')}")
        time.sleep(0.05)
