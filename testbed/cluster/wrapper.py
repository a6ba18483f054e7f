# SPDX-License-Identifier: Apache-2.0
"""The wrapper in a running cluster, put in place and taken away by the door itself, in the root as the host sees it."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from sifgate.doors.wrapper import DOOR
from testbed.cluster.harness import Cluster


@contextlib.contextmanager
def wrapped(cluster: Cluster) -> Iterator[None]:
    """Have the wrapper in the place of the tree's Apptainer."""
    DOOR.install(cluster.tree, argparse.Namespace(prefix=None))
    try:
        yield
    finally:
        DOOR.remove(cluster.tree)


@contextlib.contextmanager
def agent_everywhere(cluster: Cluster, node: str) -> Iterator[None]:
    """Have the agent of one node also where users submit and log in, for launches outside Slurm."""
    binds = [
        (f"/nodes/{node}/{part}", place) for part, place in (("run", "/run/sifgate"), ("etc", "/etc/sifgate"))
    ]
    for source, place in binds:
        cluster.run("root", ["mount", "--bind", source, place]).check()
    try:
        yield
    finally:
        for _, place in binds:
            cluster.run("root", ["umount", place]).check()
