# SPDX-License-Identifier: Apache-2.0
"""The plugin before a real agent, whose server is scripted: one record for a launch, however many doors see it."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testbed.apptainer import PREFIXES
from testbed.cluster import Cluster
from testbed.cluster.gate import NodeAgent
from tests.fakes.apptainer import IMAGE, Runtime, program
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

pytestmark = [pytest.mark.cluster, pytest.mark.root]
KEV = "/images/kev/bullseye-kev.sif"
REFUSED = 255


class Gate:
    """One agent on the node."""

    def __init__(self, root: Path, server: FakeServer) -> None:
        self.root = root
        self.server = server

    def records(self) -> list[dict[str, Any]]:
        """Return the audit records so far, oldest first."""
        log = self.root / "log/audit.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def gate(site: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Return an agent that knows the one image as refused and the other as clean."""
    server = FakeServer(tmp_path_factory.mktemp("server"))
    settings = server.settings
    told = {
        "url": settings.url,
        "certificate_file": str(settings.certificate_file),
        "token_file": str(settings.token_file),
    }
    agent = NodeAgent(site.login, told)
    try:
        for image, verdict in ((KEV, bad_verdict), (IMAGE, clean_verdict)):
            server.finding = verdict
            site.run("alice", [program("unprivileged"), "exec", image, "true"])
        yield Gate(site.login, server)
    finally:
        agent.clear()
        server.close()


def test_a_launch_leaves_one_record(runtime: Runtime, gate: Gate) -> None:
    """Two questions, one decision: by the agent's clock, door, requester and image."""
    before = len(gate.records())
    assert runtime("exec", IMAGE, "true").returncode == 0
    (record,) = gate.records()[before:]
    assert record["door"] == "apptainer-plugin"


def test_a_refusal_leaves_one_record(runtime: Runtime, gate: Gate) -> None:
    """And the notice of the policy, once."""
    before = len(gate.records())
    done = runtime("exec", KEV, "echo", "PAYLOAD")
    assert (done.returncode, done.stdout) == (REFUSED, "")
    assert done.stderr.count("sifgate: launch refused") == 1
    (record,) = gate.records()[before:]
    assert record["door"] == "apptainer-plugin"


@contextlib.contextmanager
def wrapped(site: Cluster, flavour: str) -> Iterator[None]:
    """Have the wrapper in the place of one Apptainer."""
    home = site.tree / PREFIXES / flavour / "bin"
    (home / "apptainer").rename(home / "apptainer.real")
    shutil.copy(site.tree / "usr/libexec/sifgate/sifgate-wrapper", home / "apptainer")
    try:
        yield
    finally:
        (home / "apptainer.real").replace(home / "apptainer")


@pytest.mark.parametrize(("image", "code"), [(IMAGE, 0), (KEV, REFUSED)])
def test_wrapper_and_plugin_are_one_launch(runtime: Runtime, gate: Gate, image: str, code: int) -> None:
    """The wrapper asks first; what the plugin asks from the same process is the same launch."""
    before = len(gate.records())
    with wrapped(runtime.site, runtime.flavour):
        done = runtime("exec", image, "true")
    assert done.returncode == code, done.output
    (record,) = gate.records()[before:]
    assert record["door"] == "wrapper"
