# SPDX-License-Identifier: Apache-2.0
"""Containers of OCI runtimes and Enroot at the agent: whatever their hooks tell, a launch is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.fakes.agent import RunningAgent
from tests.fakes.server import FakeServer, bad_verdict
from tests.fakes.shim import Ask, shim

pytestmark = pytest.mark.root


def action(agent: RunningAgent, ask: Ask) -> str:
    """Return what one hook of a user is answered."""
    (answer,) = shim(agent.agent.socket_path, ask)
    return answer["action"]


def state_of(bundle: Path, **facts: str) -> str:
    """Return the state document of a bundle."""
    return json.dumps(
        {"ociVersion": "1.0.2", "id": "c1", "status": "creating", "bundle": str(bundle), **facts}
    )


@pytest.mark.parametrize("told", [1, 0])
def test_container_is_judged_by_its_root_directory(
    agent: RunningAgent, server: FakeServer, root: Path, told: int
) -> None:
    """With crun the state names it, with runc the bundle's config.json does."""
    server.finding = bad_verdict
    (root / "rootfs").mkdir()
    (root / "config.json").write_text('{"root": {"path": "rootfs"}, "process": {"args": ["id"]}}')
    facts = {"root": str(root / "rootfs")} if told else {}
    (answer,) = shim(agent.agent.socket_path, Ask(door="oci-hook", state=state_of(root, **facts)))
    assert answer.verbs == ["open", "open", "decision"]
    assert answer["action"] == "block"
    (record,) = agent.records()
    assert (record.path, record.argv, record.door) == (str(root / "rootfs"), ("id",), "oci-hook")


@pytest.mark.parametrize(
    "config", [b"", b"{", b"[" * 90_000, b'{"root": {"path": "' + b"x" * (1 << 20), None]
)
def test_container_whose_root_cannot_be_told_is_unresolved(
    agent: RunningAgent, root: Path, config: bytes | None
) -> None:
    """No bundle, a broken one, a huge one: a launch that is never clean."""
    (root / "rootfs").mkdir()
    if config is not None:
        (root / "config.json").write_bytes(config)
    assert action(agent, Ask(door="oci-hook", state=state_of(root))) == "warn"
    assert agent.records()[0].state == "unresolved"


@pytest.mark.parametrize("state", ["{", "[]", '{"bundle": 7}', "[" * 100_000, '{"bundle": "/\\ud800"}'])
def test_state_that_is_none_is_unresolved(agent: RunningAgent, state: str) -> None:
    """Whatever a hook was given, the agent answers with a decision."""
    assert action(agent, Ask(door="oci-hook", state=state)) == "warn"


@pytest.mark.parametrize("facts", [{"state": ""}, {"path": ""}, {}])
@pytest.mark.parametrize("door", ["oci-hook", "enroot-hook"])
def test_hook_that_tells_nothing_is_unresolved(agent: RunningAgent, door: str, facts: dict[str, str]) -> None:
    """A hook runs because a container starts: an empty standard input is no reason to look away."""
    answer = agent.client.ask([("door", door.encode()), *((key, b"") for key in facts)])
    assert answer.text("action") == "warn"
    assert agent.records()[0].state == "unresolved"


def test_name_is_what_the_user_reads(agent: RunningAgent, server: FakeServer, root: Path) -> None:
    """Enroot's and Podman's users know their image by its name, not by where it was unpacked."""
    server.finding = bad_verdict
    (root / "rootfs").mkdir()
    (answer,) = shim(
        agent.agent.socket_path,
        Ask(door="enroot-hook", path=f"{root}/rootfs", name="docker://debian:12"),
    )
    assert "image  docker://debian:12  fp:" in answer["notice"]
    assert agent.records()[0].name == "docker://debian:12"
