# SPDX-License-Identifier: Apache-2.0
"""The files of a policy: who may have written them; the agent notices every one that changes, comes or goes."""

from __future__ import annotations

import grp
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.agent import POLICY, RunningAgent, digest_of, settled_file, write_policy
from tests.fakes.server import FakeServer, bad_verdict

from sifgate.agent.holder import PolicyHolder

SECOPS = 65_534
OTHER = 65_533
DIRECTORY = "exceptions: {directory: exceptions.d%s}\n"
EXCEPTION = """\
schema: sifgate.exceptions/v1
exceptions:
  - id: SEC-1
    vulnerability: CVE-2025-48384
    reason: git is never called
    author: alice
    created: 2020-01-01
    expires: 2099-12-31
"""
VEX = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "https://site.example/vex/1",
    "author": "security@site.example",
    "timestamp": "2026-01-01T00:00:00Z",
    "version": 1,
    "statements": [],
}


def secops() -> str:
    """Return the group that may write."""
    return grp.getgrgid(SECOPS).gr_name


@pytest.fixture
def holder(root: Path) -> Callable[..., PolicyHolder]:
    """Return a function that loads a policy with an exceptions directory, which holds one exception."""

    def load(more: str = "") -> PolicyHolder:
        write_policy(root, POLICY + DIRECTORY % more)
        directory = root / "etc/exceptions.d"
        directory.mkdir(mode=0o755, exist_ok=True)
        (directory / "a.yaml").write_text(EXCEPTION)
        return PolicyHolder(root / "etc/policy.yaml", root / "etc/posture")

    return load


def test_exceptions_of_root_are_in_force(holder: Callable[..., PolicyHolder]) -> None:
    """Nobody else is named, so they are root's, as the policy."""
    held = holder()
    assert held.reload() == ""
    assert [each.id for each in held.policy.exceptions] == ["SEC-1"]


@pytest.mark.root
@pytest.mark.parametrize("kind", ["user", "group"])
def test_named_writer_may_own_directory_and_files(
    holder: Callable[..., PolicyHolder], root: Path, kind: str
) -> None:
    """One uid, or one gid with group-writable files that its members own."""
    name = {"user": "nobody", "group": secops()}[kind]
    held = holder(f", writable_by: {{{kind}: {name}}}")
    directory = root / "etc/exceptions.d"
    if kind == "user":
        os.chown(directory, SECOPS, -1)
        os.chown(directory / "a.yaml", SECOPS, -1)
    else:
        os.chown(directory, 0, SECOPS)
        directory.chmod(0o2775)
        os.chown(directory / "a.yaml", OTHER, SECOPS)
        (directory / "a.yaml").chmod(0o664)
    assert held.reload() == ""


@pytest.mark.root
@pytest.mark.parametrize(
    "spoil",
    [
        lambda directory: os.chown(directory / "a.yaml", OTHER, -1),
        lambda directory: os.chown(directory, OTHER, -1),
        lambda directory: directory.chmod(0o777),
        lambda directory: directory.chmod(0o1777),
        lambda directory: directory.chmod(0o775),
        lambda directory: (directory / "a.yaml").chmod(0o666),
        lambda directory: (directory / "a.yaml").chmod(0o664),
        lambda directory: directory.parent.chmod(0o777),
        lambda directory: os.chown(directory.parent, SECOPS, -1),
        lambda directory: (directory / "b.yaml").symlink_to("/etc/passwd"),
        lambda directory: os.mkfifo(directory / "b.yaml"),
        lambda directory: (directory / "b.yaml").mkdir(),
    ],
)
def test_anything_that_a_stranger_could_have_written_is_refused(
    holder: Callable[..., PolicyHolder], root: Path, spoil: Callable[[Path], object]
) -> None:
    """Files, the directory, what is above it, and links in it; the last good policy stays."""
    held = holder(", writable_by: {user: nobody}")
    assert held.reload() == ""
    before = held.policy
    spoil(root / "etc/exceptions.d")
    assert held.reload() != ""
    assert held.policy is before


@pytest.mark.root
def test_group_of_the_directory_may_not_own_it(holder: Callable[..., PolicyHolder], root: Path) -> None:
    """A member who owned the directory could give it to everybody, and lock the others out."""
    held = holder(f", writable_by: {{group: {secops()}}}")
    os.chown(root / "etc/exceptions.d", OTHER, SECOPS)
    assert "owned by uid" in held.reload()


@pytest.mark.parametrize("kind", ["user", "group"])
def test_writer_that_does_not_exist_is_a_problem(holder: Callable[..., PolicyHolder], kind: str) -> None:
    """A slip of the pen must not mean "nobody", and not "anybody"."""
    assert "writable_by" in holder(f", writable_by: {{{kind}: no-such-name}}").reload()


def test_directory_that_is_gone_is_a_problem(holder: Callable[..., PolicyHolder], root: Path) -> None:
    """Exceptions that vanish would stop jobs that ran yesterday: the last good ones stay."""
    held = holder()
    assert held.reload() == ""
    (root / "etc/exceptions.d/a.yaml").unlink()
    (root / "etc/exceptions.d").rmdir()
    assert "exceptions.d" in held.reload()
    assert len(held.policy.exceptions) == 1


def test_reload_notices_files_that_change_come_and_go(
    holder: Callable[..., PolicyHolder], root: Path
) -> None:
    """Each time another policy is in force, by its digest."""
    held = holder()
    directory = root / "etc/exceptions.d"
    digests = []

    def reload() -> None:
        assert held.reload() == ""
        digests.append(held.policy.digest)

    reload()
    (directory / "b.yaml").write_text(EXCEPTION.replace("SEC-1", "SEC-2"))
    reload()
    (directory / "b.yaml").write_text(EXCEPTION.replace("SEC-1", "SEC-3"))
    reload()
    (directory / "a.yaml").unlink()
    reload()
    (directory / "a.yaml").write_text(EXCEPTION)
    (directory / "b.yaml").unlink()
    reload()
    assert len(set(digests)) == 4
    assert digests[-1] == digests[0]


def test_broken_exception_keeps_the_last_good_policy(holder: Callable[..., PolicyHolder], root: Path) -> None:
    """Said with its place."""
    held = holder()
    assert held.reload() == ""
    before = held.policy.digest
    (root / "etc/exceptions.d/a.yaml").write_text(EXCEPTION.replace("2099-12-31", "2099-13-31"))
    assert "a.yaml:8:" in held.reload()
    assert held.policy.digest == before


def test_vex_is_roots_alone(root: Path) -> None:
    """A file or directory that others can write says nothing about any package."""
    write_policy(root, POLICY + "vex: {directory: vex, trusted_authors: [security@site.example]}\n")
    directory = root / "etc/vex"
    directory.mkdir(mode=0o755)
    (directory / "a.json").write_text(json.dumps(VEX))
    held = PolicyHolder(root / "etc/policy.yaml", root / "etc/posture")
    assert held.reload() == ""
    (directory / "a.json").chmod(0o666)
    assert "others can write it" in held.reload()
    (directory / "a.json").chmod(0o644)
    directory.chmod(0o777)
    assert "others can write it" in held.reload()


def test_exception_lets_a_launch_pass_and_its_end_needs_no_reload(
    start: Callable[..., RunningAgent], server: FakeServer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's clock alone ends it, also for a decision that was remembered."""
    write_policy(root, POLICY + DIRECTORY % "")
    (root / "etc/exceptions.d").mkdir(mode=0o755)
    (root / "etc/exceptions.d/a.yaml").write_text(EXCEPTION)
    server.know(bad_verdict(digest_of(b"bad")))
    image = settled_file(root / "x.sif", b"bad")
    agent = start()
    assert [agent.action(image) for _ in range(2)] == ["allow"] * 2
    monkeypatch.setattr("sifgate.agent.judge.moment", lambda: 4_102_444_800.0)  # 2100-01-01
    assert agent.action(image) == "block"
    assert agent.records()[-1].time == "2100-01-01T00:00:00.000Z"


def test_restart_with_files_that_cannot_be_used_goes_on_with_the_last_good_policy(
    server: FakeServer, root: Path
) -> None:
    """Else whoever may write exceptions could disarm the node by one bad file and a restart."""
    write_policy(root, POLICY + DIRECTORY % "")
    (root / "etc/exceptions.d").mkdir(mode=0o755)
    server.know(bad_verdict(digest_of(b"bad")))
    image = settled_file(root / "x.sif", b"bad")
    kept = root / "state/agent/policy.last"

    def restarted() -> tuple[str, str, str]:
        agent = RunningAgent(root, server.settings)
        policy, action = agent.query("status")["policy"], agent.action(image)
        agent.stop()
        return policy["digest"], policy["problem"], action

    digest, _, _ = restarted()
    (root / "etc/exceptions.d/a.yaml").write_text("junk")
    again, problem, action = restarted()
    assert (again, "a.yaml" in problem, action) == (digest, True, "block")
    kept.write_bytes(kept.read_bytes().replace(digest.encode(), b"sha256:" + b"0" * 64))
    other, problem, action = restarted()
    assert (other != digest, "a.yaml" in problem, action) == (True, True, "log")
