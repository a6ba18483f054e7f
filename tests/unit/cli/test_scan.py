# SPDX-License-Identifier: Apache-2.0
"""`sifgate scan` against an agent that knows a verdict, or does not."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.unit.cli.conftest import Run
from tests.unit.render.reports import DECISION, STANDING, SUPPRESSED

from sifgate import wire
from sifgate.model.verdict import FailureCause, ScanState, Standing

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "src/sifgate/render/schemas/scan.schema.json").read_text(encoding="utf-8")
)


def steps(standing: Standing, suppressed: tuple[int, ...] = (), *waits: str) -> list[Step]:
    """Return the script of an agent that answers with this standing."""
    body = msgspec.json.encode({"standing": standing, "decision": DECISION, "suppressed": suppressed})
    return [*(("wait", text) for text in waits), ("send", wire.encode("answer", [("body", body)]))]


def test_the_report_is_one_row_a_line_in_a_pipe(root: Path, image: Path, sifgate: Run) -> None:
    """Findings worst first, summary and coverage; no colours, no progress."""
    with ScriptedAgent(root / "run/agent.sock", steps(STANDING, SUPPRESSED, "reading 40 %")) as agent:
        done = sifgate("scan", str(image), FORCE_COLOR="1")
    assert (done.code, done.err) == (0, "")
    assert os.fsdecode(agent.asked[0].first("path")) == str(image)
    assert "\x1b" not in done.out
    assert [line.split()[1] for line in done.out.splitlines()[1:3]] == ["CVE-2025-3", "CVE-2025-48384"]
    assert "Coverage: 333 packages" in done.out


def test_the_json_document_keeps_its_schema(root: Path, image: Path, sifgate: Run) -> None:
    """Programs get every finding and what is suppressed."""
    with ScriptedAgent(root / "run/agent.sock", steps(STANDING, SUPPRESSED)):
        done = sifgate("scan", "--format", "json", str(image))
    assert done.code == 0
    jsonschema.validate(done.document, SCHEMA)
    assert (len(done.document["findings"]), len(done.document["suppressed"])) == (4, 1)


@pytest.mark.parametrize(
    "standing",
    [
        Standing(state=ScanState.PENDING, detail="Clair is busy"),
        Standing(state=ScanState.UNRESOLVED),
        Standing(cause=FailureCause.SERVER_UNREACHABLE),
    ],
)
def test_nothing_known_is_exit_code_3(standing: Standing, root: Path, image: Path, sifgate: Run) -> None:
    """A script must not take an outage for a clean image."""
    with ScriptedAgent(root / "run/agent.sock", steps(standing)):
        table = sifgate("scan", str(image))
        document = sifgate("scan", "--format", "json", str(image))
    assert (table.code, document.code) == (3, 3)
    assert "nothing is known" in table.out
    assert document.document["summary"] is None


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"standing": 3}', b"\xff", b"null"])
def test_an_answer_that_cannot_be_read_is_exit_code_3(
    body: bytes, root: Path, image: Path, sifgate: Run
) -> None:
    """An agent of another version gets no traceback."""
    with ScriptedAgent(root / "run/agent.sock", [("send", wire.encode("answer", [("body", body)]))]):
        done = sifgate("scan", str(image))
    assert (done.code, done.out) == (3, "")
    assert "the agent's answer cannot be read" in done.err
    assert "hint" in done.err


@pytest.mark.parametrize("wait", ["0", "-1", "nan", "inf", "x", "1e9"])
def test_a_wait_that_is_none_is_wrong_usage(wait: str, image: Path, sifgate: Run) -> None:
    """Numbers that would wait for ever, or not at all, are refused."""
    assert sifgate("scan", str(image), "--wait", wait).code == 2


def test_a_terminal_sees_progress_and_colours(root: Path, image: Path) -> None:
    """On a terminal the agent's progress is shown, and nothing of the image moves it."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "sifgate.cli.main", "--root", str(root), "scan", str(image)]
    script = steps(STANDING, SUPPRESSED, "reading 40 %\x1b[2J")
    script.insert(1, ("sleep", 0.5))
    with ScriptedAgent(root / "run/agent.sock", script):
        process = subprocess.Popen(
            command,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "160"},
        )
        os.close(slave)
        shown = _drain(master)
        assert process.wait(timeout=30) == 0
    assert "reading 40 %\\x1b[2J" in shown
    assert "\x1b[2J" not in shown
    assert "\x1b]0;" not in shown
    assert re.search(r"\x1b\[[0-9;]*m *CVE|\x1b\[[0-9;]*mCritical", shown)


def _drain(master: int) -> str:
    """Return all that a terminal was sent."""
    blocks: list[bytes] = []
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:  # Linux: EIO when the last writer is gone
            break
        if not block:
            break
        blocks.append(block)
    os.close(master)
    return b"".join(blocks).decode()
