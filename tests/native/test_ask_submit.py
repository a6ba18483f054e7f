# SPDX-License-Identifier: Apache-2.0
"""sifgate-ask at submission: a look-up that holds nobody up."""

from __future__ import annotations

import os
import time

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.asking import NOBODY, NOTICE, Asking

pytestmark = pytest.mark.native
ALLOW: list[Step] = [("decide", "allow", {})]
LAUNCH = ["--", "apptainer", "exec", "x.sif", "true"]


@pytest.mark.parametrize(("action", "status"), [("allow", 0), ("log", 0), ("warn", 0), ("block", 1)])
def test_the_answer_is_told_at_once(asking: Asking, action: str, status: int) -> None:
    """The user reads at submission what would happen; the exit status is for the filter that called."""
    with ScriptedAgent(asking.socket, [("decide", action, {"notice": NOTICE})]) as agent:
        done = asking.run("submit", "--cwd", "/work dir", *LAUNCH, env={"SCRATCH": "/s", "SECRET": "x"})
    assert (done.returncode, done.stderr.decode()) == (status, f"{NOTICE}\n")
    ask = agent.asked[0]
    assert (ask.first("door"), ask.first("cwd")) == (b"submit", b"/work dir")
    assert [value for key, value in ask.fields if key == "arg"] == [word.encode() for word in LAUNCH[1:]]
    assert [value for key, value in ask.fields if key == "env"] == [b"SCRATCH=/s"]


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_a_script_is_sent_up_to_its_bound(asking: Asking, how: str) -> None:
    """256 KiB of it, from a file or from standard input."""
    text = b"#!/bin/sh\napptainer exec x.sif true\n" + b"#" * 400_000
    (asking.place / "job.sh").write_bytes(text)
    with ScriptedAgent(asking.socket, ALLOW) as agent:
        if how == "file":
            done = asking.run("submit", "--script", asking.place / "job.sh")
        else:
            done = asking.run("submit", "--script", "-", stdin=text)
    assert (done.returncode, agent.asked[0].first("script")) == (0, text[: 256 << 10])


@pytest.mark.parametrize("fault", ["hung agent", "full queue", "endless script"])
def test_the_deadline_holds(asking: Asking, fault: str) -> None:
    """50 ms are 50 ms, whoever does not answer: the filter that waits holds the controller's locks."""
    asking.state("block")
    script = "-" if fault == "endless script" else "/dev/null"
    os.mkfifo(asking.place / "fifo")
    with ScriptedAgent(asking.socket, [("sleep", 20)]) as agent:
        if fault == "full queue":
            agent._listener.listen(0)
            agent._over.set()
        started = time.monotonic()
        done = asking.run(
            "submit",
            *("--deadline", "50", "--script", script, *LAUNCH),
            before=["sh", "-c", f'"$@" <>{asking.place}/fifo', "sh"],
        )
        elapsed = time.monotonic() - started
    assert done.returncode == 3
    assert b"not checked yet" in done.stderr
    assert elapsed < 0.8  # with sanitizers, on a busy host


def test_what_starts_no_container_needs_no_agent(asking: Asking) -> None:
    """A posture that refuses is for containers: any other job is submitted."""
    asking.state("block")
    assert asking.run("submit", "--", "hostname").returncode == 0
    assert asking.run("submit", "--script", "-", stdin=b"#!/bin/sh\nhostname\n").returncode == 0
    assert asking.run("submit", "--script", "-", stdin=b"#!/bin/sh\nsingularity run x\n").returncode == 3


def test_another_users_files_are_opened_with_his_ids(asking: Asking) -> None:
    """Root that asks for a user becomes him before it opens anything; anybody else opens nothing for others."""
    secret = asking.place / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    open_both: list[Step] = [("open", str(secret)), ("open", str(asking.posture)), *ALLOW]
    with ScriptedAgent(asking.socket, open_both) as agent:
        asking.run("submit", "--uid", "2001", "--gid", "2001", *LAUNCH, env={"SCRATCH": "/s"})
        asking.run("submit", "--uid", "2001", "--gid", "2001", *LAUNCH, uid=NOBODY)
    assert [error for error, _ in agent.opened] == ["13", "", "1", "1"]
    assert agent.asked[0].first("uid") == b"2001"
    assert agent.asked[0].first("env") == b""


@pytest.mark.parametrize(
    "words",
    [
        ["--deadline", "-1"],
        ["--deadline", "60001"],
        ["--uid", "0"],
        ["--uid", "x", "--gid", "1"],
        ["--uid", "1", "--uid", "2", "--gid", "1"],
    ],
)
def test_a_wrong_command_line_is_usage(asking: Asking, words: list[str]) -> None:
    """Exit 2, which a filter takes for no answer."""
    with ScriptedAgent(asking.socket, ALLOW) as agent:
        assert asking.run("submit", *words, *LAUNCH).returncode == 2
    assert agent.asked == []


def test_a_long_command_line_is_sent_whole(asking: Asking) -> None:
    """1 MB of words travels as a sealed memfd, bytes that are no UTF-8 as they are."""
    words = [b"\xff\xfe" + b"x" * 60_000] * 18
    with ScriptedAgent(asking.socket, ALLOW) as agent:
        done = asking.run("submit", "--", "apptainer", *map(os.fsdecode, words))
    assert done.returncode == 0
    assert [value for key, value in agent.asked[0].fields if key == "arg"][1:] == words
