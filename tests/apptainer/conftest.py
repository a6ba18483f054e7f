# SPDX-License-Identifier: Apache-2.0
"""Apptainer from source in two flavours, with our plugin compiled, installed and enabled by the door's own code.

The build takes a quarter of an hour where it is not in the cache, so all of this runs only with
SIFGATE_APPTAINER_BUILD=1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testbed.apptainer import FLAVOURS, SOURCES, obtain_apptainer
from testbed.cluster import Cluster, install
from testbed.cluster.scripted import ScriptedAgent
from testbed.golang import go_root
from testbed.images import obtain_image
from testbed.rootfs import obtain_tree
from tests.fakes.apptainer import Runtime, Script, entering, options, program

from sifgate.doors import apptainer_runtime
from sifgate.doors.apptainer_plugin import DOOR

WANTED = os.environ.get("SIFGATE_APPTAINER_BUILD") == "1"
POSTURE = "sifgate-posture 1\nagent_unreachable {}\nscan_wait_ms 6000\ncontact security@site.example\n"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all of this directory where the build is not wanted."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and not WANTED:
            item.add_marker(
                pytest.mark.skip(reason="builds Apptainer from source: SIFGATE_APPTAINER_BUILD=1")
            )


@pytest.fixture(scope="session")
def bare() -> Iterator[Cluster]:
    """Return a node whose two Apptainers have no plugin yet."""
    images = {"clean": obtain_image("trixie.sif").parent, "kev": obtain_image("bullseye-kev.sif").parent}
    tree = Path(f"{obtain_apptainer()}:{obtain_tree('node')}")  # two lower layers of the overlay
    with Cluster(
        nodes=("d1",), tree=tree, binds={"go": go_root(), **images}, prepare=[install.programs]
    ) as node:
        yield node


@pytest.fixture(scope="session")
def doors(bare: Cluster) -> Iterator[None]:
    """Let the door's code enter the node as its own programs do, and find the Go and the modules of the build."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apptainer_runtime, "entering", lambda _: entering(bare))
        patch.setenv("PATH", f"/images/go/bin:{os.environ['PATH']}")
        patch.setenv("GOMODCACHE", f"/{SOURCES}/modules")
        patch.setenv("GOPROXY", "off")
        patch.setenv("GOFLAGS", "-modcacherw")
        yield


@pytest.fixture(scope="session")
def site(bare: Cluster, doors: None) -> Cluster:
    """Return the node with the plugin in both Apptainers."""
    del doors
    for flavour in FLAVOURS:
        assert DOOR.install(bare.tree, options("--apptainer", program(flavour)))
    return bare


@pytest.fixture(params=list(FLAVOURS))
def runtime(site: Cluster, request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Return each flavour; afterwards no process of a user and no file of a payload may be left."""
    yield Runtime(site, request.param)
    assert site.strays() == []
    for left in site.scratch.iterdir():
        left.unlink() if left.is_file() or left.is_symlink() else pytest.fail(f"left behind: {left}")


@pytest.fixture
def agents(site: Cluster) -> Iterator[Callable[[Script], ScriptedAgent]]:
    """Return a function that starts a scripted agent on the node."""
    with ExitStack() as stack:
        socket = site.login / "run/agent.sock"
        yield lambda script: stack.enter_context(ScriptedAgent(socket, script))


@pytest.fixture
def posture(site: Cluster) -> Iterator[Callable[[str], None]]:
    """Return a function that sets what holds without an agent."""
    file = site.login / "etc/posture"

    def put(action: str) -> None:
        file.write_text(POSTURE.format(action))

    yield put
    file.unlink(missing_ok=True)
