# SPDX-License-Identifier: Apache-2.0
"""One real Slurm for the session, with the plugin and the prolog; every test must leave it idle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
from testbed.cluster import Cluster, install
from testbed.cluster.scripted import ScriptedAgent, Step
from testbed.images import obtain_image

SETTINGS = (
    f"Prolog={install.PROLOG}",
    "PrologFlags=Contain",  # the extern step exists, and the prolog runs when nodes are allocated
)
PLUGSTACK = "required sifgate.so\n"
POSTURE = "sifgate-posture 1\nagent_unreachable {}\nscan_wait_ms 6000\ncontact security@site.example\n"
IMAGES = {"kev": "bullseye-kev.sif", "clean": "trixie.sif", "unsupported": "centos-7-runs.sif"}
Agents = Callable[..., list[ScriptedAgent]]
Posture = Callable[[str], None]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return the cluster: nodes n1 and n2, images read-only below /images."""
    images = {role: obtain_image(name).parent for role, name in IMAGES.items()}
    prepare = [install.plugin, install.hooks]
    with Cluster(settings=SETTINGS, plugstack=PLUGSTACK, prepare=prepare, binds=images) as running:
        yield running


@pytest.fixture(autouse=True)
def idle(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check after every test that all nodes are idle and no process of a user is left."""
    yield
    if "cluster" in request.fixturenames:
        running: Cluster = request.getfixturevalue("cluster")
        running.wait_idle()
        assert running.strays() == []


@pytest.fixture
def agents(cluster: Cluster) -> Iterator[Agents]:
    """Return a function that starts a scripted agent on each named node (both, by default)."""
    with ExitStack() as stack:

        def start(script: Sequence[Step] | Callable[..., Sequence[Step]], *nodes: str) -> list[ScriptedAgent]:
            sockets = [cluster.node_root(name) / "run/agent.sock" for name in nodes or cluster.names]
            return [stack.enter_context(ScriptedAgent(socket, script)) for socket in sockets]

        yield start


@pytest.fixture
def posture(cluster: Cluster) -> Iterator[Posture]:
    """Return a function that sets what the nodes do without an agent; the file is removed after the test."""
    files = [cluster.node_root(name) / "etc/posture" for name in cluster.names]

    def put(action: str) -> None:
        for file in files:
            file.write_text(POSTURE.format(action))

    yield put
    for file in files:
        file.unlink(missing_ok=True)


def asks(*agents: ScriptedAgent) -> list[dict[str, list[bytes]]]:
    """Return the fields of every `ask` of a step, key by key."""
    messages = [message for agent in agents for message in agent.asked if message.verb == "ask"]
    return [{key: message.every(key) for key, _ in message.fields} for message in messages]


@pytest.fixture(name="asks")
def asks_fixture() -> Callable[..., list[dict[str, list[bytes]]]]:
    """Return `asks`: test files of this suite import nothing from each other."""
    return asks
