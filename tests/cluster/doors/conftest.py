# SPDX-License-Identifier: Apache-2.0
"""One node with every door and one gate behind it, shared by the tests of the doors; its agent is never killed here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster import gate as gates
from testbed.images import obtain_image
from testbed.rootfs import obtain_tree

IMAGES = {"kev": "bullseye-kev.sif", "clean": "trixie.sif", "unsupported": "centos-7-runs.sif"}
TREES = {"kev-tree": "bullseye-kev", "clean-tree": "trixie"}
"""The trees that the first two images are made of, read-only in /images too."""


@pytest.fixture(scope="session")
def site() -> Iterator[Cluster]:
    """Return a Slurm of one node, d1, with plugin, prolog and programs of the doors, and its gate up.

    The policy is the enforcing example: /images/kev/bullseye-kev.sif is refused, /images/clean/trixie.sif runs,
    /images/unsupported/centos-7-runs.sif is warned about. The gate's root is `site.node_root("d1")`.
    """
    images = {role: obtain_image(name).parent for role, name in IMAGES.items()}
    images |= {role: obtain_tree(name) for role, name in TREES.items()}
    prepare = [install.plugin, install.hooks, install.programs]
    with (
        Cluster(nodes=("d1",), plugstack="required sifgate.so\n", prepare=prepare, binds=images) as running,
        gates.gate(running.node_root("d1")),
    ):
        yield running


@pytest.fixture
def gate_root(site: Cluster) -> Path:
    """Return the root of the gate, for `gates.sifgate` and `gates.records(root, door)`."""
    return site.node_root("d1")


@pytest.fixture(autouse=True)
def node_left_idle(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check after every test that the node is idle and no process of a user is left."""
    yield
    if "site" in request.fixturenames:
        running: Cluster = request.getfixturevalue("site")
        running.wait_idle()
        assert running.strays() == []
