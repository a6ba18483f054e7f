# SPDX-License-Identifier: Apache-2.0
"""The command line and a real agent that has no server: decisions, records, reload."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_check import SCHEMA
from tests.unit.cli.test_policy import GOOD

POLICY = (
    GOOD
    + "scan_states: {unresolved: block, unscannable: {format: block, sandbox: block, malformed: block}}\n"
)


@pytest.fixture
def agent(root: Path, tmp_path: Path, sifgate: Run) -> Iterator[subprocess.Popen[str]]:
    """Run an agent with a policy that refuses what cannot be scanned."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    assert sifgate("policy", "install", str(policy)).code == 0
    command = [sys.executable, "-m", "sifgate.agent.main", "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "listening on" in process.stdout.readline()
        yield process
        if process.poll() is None:
            process.terminate()
            assert process.wait(timeout=30) == 0


@pytest.mark.usefixtures("agent")
def test_check_explain_and_audit_tell_one_story(image: Path, sifgate: Run) -> None:
    """A refusal, its page and its line in the log carry the same reference and reasons."""
    checked = sifgate("check", "--format", "json", str(image))
    assert checked.code == 1, checked.err
    jsonschema.validate(checked.document, SCHEMA)
    reference = checked.document["reference"]
    assert checked.document["state"] == "unscannable"
    assert checked.document["reasons"][0]["action"] == "block"
    explained = sifgate("explain", reference.lower())
    assert explained.code == 0, explained.err
    assert explained.out.startswith(reference)
    assert str(image) in explained.out
    assert sifgate("explain", "--format", "json", reference).document["reference"] == reference
    assert sifgate("explain", "--format", "json", "--last").document["reference"] == reference
    (rule,) = sifgate("explain", "--format", "json", reference).document["trace"]["rules"]
    assert (rule["id"], rule["state"]) == ("kev", "not asked")
    assert "not asked kev (block)" in explained.out
    assert "not asked kev (block)" in sifgate("explain", str(image)).out
    found = sifgate(
        "audit", "query", "--action", "block", "--image", image.name, "--since", "1h", "--format", "json"
    )
    assert f'"reference":"{reference}"' in found.out
    assert reference in sifgate("audit", "tail").out
    assert sifgate("audit", "query", "--action", "warn").out == ""
    assert sifgate("audit", "query", "--cve", "CVE-2025-1", "--job", "7", "--user", "nobody-at-all").out == ""


@pytest.mark.usefixtures("agent")
def test_the_notice_of_a_refusal_names_image_reason_contact_and_reference(image: Path, sifgate: Run) -> None:
    """The shape that users learn to read, at most twelve lines."""
    done = sifgate("check", str(image))
    assert done.code == 1
    assert done.out.startswith("sifgate: launch refused")
    assert "security@site.example" in done.out
    assert str(image) in done.out
    assert len(done.out.splitlines()) <= 13


@pytest.mark.usefixtures("agent")
def test_a_launch_is_parsed_as_at_a_door(image: Path, sifgate: Run) -> None:
    """`-- COMMAND` shows what a launch by that command would meet."""
    done = sifgate("check", "x.sif", "--", "env", "A=b", "apptainer", "exec", "-B", "/x:/usr", "x.sif", "ls",
                   cwd=image.parent)  # fmt: skip
    assert done.code == 1, done.err
    assert sifgate("check", "--", "apptainer", "exec", "$X/none.sif", cwd=image.parent).code == 1


def test_a_new_policy_is_in_force_at_once(
    agent: subprocess.Popen[str], image: Path, tmp_path: Path, sifgate: Run
) -> None:
    """`policy install` tells the agent; the next check is judged by it."""
    assert sifgate("check", str(image)).code == 1
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.replace("mode: enforce", "mode: audit"))
    installed = sifgate("policy", "install", str(policy))
    assert installed.code == 0, installed.err
    assert "the agent has loaded it" in installed.out
    assert sifgate("check", str(image)).code == 0
    assert agent.poll() is None


@pytest.mark.usefixtures("agent")
def test_an_unknown_reference_is_exit_code_3(sifgate: Run) -> None:
    """Not found is said, with a hint where records lie."""
    done = sifgate("explain", "ZZZZ-ZZ")
    assert (done.code, done.out) == (3, "")
    assert "hint" in done.err
    assert sifgate("explain", "not a reference").code == 2


@pytest.mark.usefixtures("agent")
def test_following_the_log_ends_quietly_at_an_interrupt(root: Path, image: Path, sifgate: Run) -> None:
    """New records appear while following; Control-C leaves no traceback."""
    command = [
        sys.executable,
        "-m",
        "sifgate.cli.main",
        "--root",
        str(root),
        "audit",
        "tail",
        "--follow",
        "--format",
        "json",
    ]
    assert sifgate("check", str(image)).code == 1
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        assert sifgate("check", str(image)).code == 1
        second = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 128 + signal.SIGINT
        assert process.stderr.read() == ""
    assert '"action":"block"' in first
    assert '"action":"block"' in second
    assert first != second


def test_a_dead_agent_is_said_to_be_dead(agent: subprocess.Popen[str], image: Path, sifgate: Run) -> None:
    """An agent that was killed leaves a socket behind, and no decision."""
    agent.send_signal(signal.SIGKILL)
    agent.wait(timeout=30)
    done = sifgate("check", str(image))
    assert (done.code, done.out) == (3, "")
    assert "hint" in done.err
