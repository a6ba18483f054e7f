# SPDX-License-Identifier: Apache-2.0
"""`sifgate break-glass` and a real agent: taken, listed, ended; refused where the policy has none of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_policy import GOOD

BREAK_GLASS = "break_glass: {groups: [no-such-group], max_duration: 2h}\n"


@pytest.fixture
def agent(root: Path, tmp_path: Path, sifgate: Run) -> Iterator[Path]:
    """Run an agent whose policy knows break-glass; return its policy file."""
    source = tmp_path / "policy.yaml"
    source.write_text(GOOD + BREAK_GLASS)
    assert sifgate("policy", "install", str(source)).code == 0
    command = [sys.executable, "-m", "sifgate.agent.main", "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "listening on" in process.stdout.readline()
        yield root / "etc/policy.yaml"
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.mark.usefixtures("agent")
def test_grant_is_taken_listed_and_ended(sifgate: Run) -> None:
    """The id that `start` says is the one that `list` shows and `end` wants; the record can be explained."""
    started = sifgate(
        "break-glass", "start", "--reason", "disk full", "--duration", "90m", "--format", "json"
    )
    assert started.code == 0, started.err
    grant = started.document["grant"]
    assert grant["reason"] == "disk full"
    listed = sifgate("break-glass", "list")
    assert listed.code == 0, listed.err
    assert grant["id"] in listed.out
    assert grant["ends"] in listed.out
    ended = sifgate("break-glass", "end", grant["id"])
    assert (ended.code, grant["id"] in ended.out) == (0, True)
    assert sifgate("break-glass", "list").out == "no grant is in force\n"
    found = sifgate("audit", "query", "--outcome", "break_glass", "--format", "json")
    assert found.out.count('"outcome":"break_glass"') == 2


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("start",), 2, "--reason"),
        (("start", "--reason", "x", "--duration", "3h"), 2, "from 1 to 7200 s"),
        (("start", "--reason", "x", "--duration", "soon"), 2, "no length of time"),
        (("start", "--reason", "x", "--duration", "0s"), 2, "no length of time"),
        (("start", "--reason", " "), 2, "wants a reason"),
        (("start", "--reason", "a\nb"), 2, "one line"),
        (("start", "--reason", b"\xff"), 2, "one line"),
        (("start", "--reason", "x", "--user", "no such user"), 2, "there is no user"),
        (("end", "nothing"), 3, "no grant 'nothing' is in force"),
        ((), 2, "VERB"),
    ],
)
def test_what_cannot_be_done_is_said(
    sifgate: Run, words: tuple[str | bytes, ...], code: int, text: str
) -> None:
    """Usage is 2, what the agent refuses is 3, and each says why."""
    done = sifgate("break-glass", *words)
    assert (done.code, text in done.err) == (code, True), done.err


def test_policy_without_break_glass_allows_none(agent: Path, sifgate: Run) -> None:
    """The site has not asked for it."""
    agent.write_text(GOOD)
    assert sifgate("reload").code == 0
    done = sifgate("break-glass", "start", "--reason", "x")
    assert (done.code, "no `break_glass`" in done.err) == (3, True)


@pytest.mark.usefixtures("root")
def test_nobody_answers(sifgate: Run) -> None:
    """Without an agent there is nothing to be granted."""
    assert sifgate("break-glass", "start", "--reason", "x").code == 3
