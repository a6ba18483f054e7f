# SPDX-License-Identifier: Apache-2.0
"""`sifgate check` against an agent that does what the test says."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import msgspec
import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.unit.cli.conftest import Run

from sifgate import wire
from sifgate.audit.record import AuditRecord, ReasonLine
from sifgate.cli.conversation import image_fields
from sifgate.errors import Unresolved

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "src/sifgate/render/schemas/check.schema.json").read_text(encoding="utf-8")
)
NOTICE = "sifgate: launch refused: 1 known-exploited vulnerability with a fix\n  why    CVE-2025-48384 git"
RECORD = AuditRecord(
    id="0660dcdf68380e2dae0d06c720",
    time="2026-11-22T12:46:57.484Z",
    node="n1",
    door="cli",
    action="block",
    reference="7QX4-19",
    would_be="block",
    mode="enforce",
    reasons=(
        ReasonLine("kev-fixable", "block", "KEV and fixable", 2, ("CVE-2025-48384 git 1:2.30\x1b[31m",)),
    ),
    state="known",
    fingerprint="9f2c41a7" * 8,
)


def script(action: str, notice: str = "", reference: str = "7QX4-19") -> object:
    """Return the script of an agent that decides `action` and explains it."""

    def steps(message: wire.Message) -> Sequence[Step]:
        opening = [("open", message.text("path"))] if message.text("path") else []
        fields = {"notice": notice, "reference": reference}
        if reference:
            fields["body"] = msgspec.json.encode({"record": RECORD, "decision": None}).decode()
        return [*opening, ("wait", "reading"), ("decide", action, fields)]

    return steps


@pytest.mark.parametrize(("action", "code"), [("allow", 0), ("log", 0), ("warn", 0), ("block", 1)])
def test_the_exit_code_is_the_launchs_fate(
    action: str, code: int, root: Path, image: Path, sifgate: Run
) -> None:
    """0 where a launch would run, 1 where it would be refused."""
    with ScriptedAgent(root / "run/agent.sock", script(action)) as agent:  # type: ignore[arg-type]
        done = sifgate("check", str(image))
    assert (done.code, done.err) == (code, "")
    assert agent.opened == [("", b"image")]
    assert "ref 7QX4-19" in done.out


def test_the_notice_is_the_one_of_a_launch(root: Path, image: Path, sifgate: Run) -> None:
    """The user reads here what he would read at a door, control characters made visible."""
    with ScriptedAgent(root / "run/agent.sock", script("block", NOTICE + "\x1b[2J")):  # type: ignore[arg-type]
        done = sifgate("check", image.name, cwd=image.parent)
    assert done.out.startswith(NOTICE + "\\x1b[2J\n")
    assert done.out.endswith(f"{image.name}: refused; state known; ref 7QX4-19\n")


def test_the_json_document_keeps_its_schema(root: Path, image: Path, sifgate: Run) -> None:
    """Programs get action, would_be, reasons and reference."""
    with ScriptedAgent(root / "run/agent.sock", script("block", NOTICE)):  # type: ignore[arg-type]
        done = sifgate("check", "--format", "json", str(image))
    assert done.code == 1
    assert "\x1b" not in done.out
    jsonschema.validate(done.document, SCHEMA)
    assert done.document["reasons"][0]["count"] == 2
    assert (done.document["action"], done.document["would_be"], done.document["reference"]) == (
        "block",
        "block",
        "7QX4-19",
    )


def test_a_decision_without_a_record_is_still_a_document(root: Path, image: Path, sifgate: Run) -> None:
    """Where no record can be had the decision is shown all the same."""
    with ScriptedAgent(root / "run/agent.sock", script("allow", reference="")):  # type: ignore[arg-type]
        done = sifgate("check", "--format", "json", str(image))
    assert done.code == 0
    jsonschema.validate(done.document, SCHEMA)


def test_a_command_is_sent_as_a_launch_would_send_it(root: Path, image: Path, sifgate: Run) -> None:
    """Words, directory and the variables that parsers read; no others."""
    with ScriptedAgent(root / "run/agent.sock", script("allow")) as agent:  # type: ignore[arg-type]
        done = sifgate(
            "check", "x.sif", "--", "srun", "apptainer", "exec", "x.sif", "a\nb",
            cwd=image.parent, APPTAINER_BIND="/x:/usr", SECRET="s",
        )  # fmt: skip
    assert done.code == 0, done.err
    asked = agent.asked[0]
    assert asked.every("arg") == [b"srun", b"apptainer", b"exec", b"x.sif", b"a\nb"]
    assert os.fsdecode(asked.first("cwd")) == str(image.parent)
    assert b"APPTAINER_BIND=/x:/usr" in asked.every("env")
    assert not any(b"SECRET" in value for value in asked.every("env"))
    assert not asked.first("path")


def test_a_command_that_starts_something_else_is_refused(root: Path, image: Path, sifgate: Run) -> None:
    """An answer about another image than the one named would mislead."""
    for command in (("ls",), ("apptainer", "exec", "other.sif", "ls")):
        done = sifgate("check", str(image), "--", *command)
        assert done.code == 2
        assert "hint" in done.err or "expected" in done.err


def test_what_cannot_be_opened_is_unresolved(tmp_path: Path) -> None:
    """Missing, unreadable and impossible names have one kind of error, with a hint."""
    (tmp_path / "loop").symlink_to("loop")
    for name in ("missing.sif", "loop", "a\0b"):
        with pytest.raises(Unresolved) as caught:
            image_fields(str(tmp_path / name))
        assert caught.value.hint


@pytest.mark.parametrize("name", ["missing.sif", "x" * 5000])
def test_an_image_that_cannot_be_opened_is_exit_code_3(name: str, root: Path, sifgate: Run) -> None:
    """The agent is not bothered, the reason is said."""
    done = sifgate("check", name)
    assert done.code == 3
    assert done.out == ""
    assert "hint" in done.err


def test_a_name_that_is_not_utf_8_reaches_the_agent(root: Path, tmp_path: Path, sifgate: Run) -> None:
    """Names are bytes."""
    raw = os.fsencode(tmp_path) + b"/\xff\n.sif"
    Path(os.fsdecode(raw)).write_bytes(b"image")
    with ScriptedAgent(root / "run/agent.sock", script("allow")) as agent:  # type: ignore[arg-type]
        agent.script = [("decide", "allow", {})]
        done = sifgate("check", raw)
    assert done.code == 0
    assert agent.asked[0].first("path") == raw
    assert "\\xff\\x0a.sif: allowed" in done.out


@pytest.mark.parametrize(
    "steps",
    [
        [("close",)],
        [("send", b"garbage")],
        [("send", wire.encode("answer", [("body", b"{}")]))],
        [("decide", "maybe", {})],
        [("decide", "allow", {"body": "{}"})],
        [("send", wire.encode("error", [("code", b"timeout"), ("text", b"nothing was heard in time")]))],
    ],
    ids=["hangs up", "garbage", "no decision", "no action", "no record", "refuses"],
)
def test_an_agent_that_gives_no_decision_is_exit_code_3(
    steps: list[Step], root: Path, image: Path, sifgate: Run
) -> None:
    """Never 0, never a traceback, always a hint."""
    with ScriptedAgent(root / "run/agent.sock", steps):
        done = sifgate("check", str(image))
    assert done.code == 3
    assert done.out == ""
    assert "\n  hint: " in done.err
    assert "Traceback" not in done.err


def test_no_agent_is_exit_code_3(image: Path, sifgate: Run) -> None:
    """Not to be able to ask is not a yes."""
    done = sifgate("check", str(image))
    assert (done.code, done.out) == (3, "")
    assert "agent.sock" in done.err
