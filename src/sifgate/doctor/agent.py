# SPDX-License-Identifier: Apache-2.0
"""The agent: whether it answers, how soon, and what it says about the audit log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from sifgate.client import Client
from sifgate.doctor.finding import Finding, fine, problem
from sifgate.errors import AgentRefused, AgentUnreachable, ProtocolError

SIGN_OF_LIFE = 2.0
"""Seconds of silence after which a launch takes its posture: who is slower than that is no agent."""
RESTART = "systemctl restart sifgate-agent"
LAG = 16 << 20
"""Bytes of records waiting for the server that are no longer an ordinary delay."""


class Answer(msgspec.Struct, frozen=True):
    """What came back: the agent's own status or why there is none."""

    status: dict[str, Any] | None
    failure: str = ""
    seconds: float = 0.0


def ask(socket: Path) -> Answer:
    """Return the agent's status and how long it took."""
    began = time.monotonic()
    try:
        body = Client(str(socket), sign_of_life=SIGN_OF_LIFE).query("status", deadline=SIGN_OF_LIFE)
        status = msgspec.json.decode(body, type=dict[str, Any])
    except (AgentUnreachable, AgentRefused, ProtocolError, msgspec.DecodeError) as error:
        return Answer(None, str(error))
    return Answer(status, seconds=time.monotonic() - began)


def life(answer: Answer) -> Iterator[Finding]:
    """Yield whether the agent answers in the time that launches give it."""
    if answer.status is None:
        hung = "no sign of life" in answer.failure
        yield problem(
            "agent",
            f"{'hangs' if hung else 'does not answer'}: {answer.failure}",
            f"{RESTART} (or `sifgate up`); its log: journalctl -u sifgate-agent",
        )
        return
    version, own = answer.status.get("version", "?"), metadata.version("sifgate")
    text = f"{version}, pid {answer.status.get('pid')}, answers in {answer.seconds * 1000:.0f} ms"
    if version != own:
        yield problem("agent", f"{text}; this command is {own}", RESTART)
    elif not answer.status.get("enforces", True):
        yield problem("agent", f"{text}; runs as a user and enforces nothing", "run it as root")
    else:
        yield fine("agent", text)


def audit(answer: Answer) -> Iterator[Finding]:
    """Yield whether records can be written, and how many bytes of them wait for the server."""
    told = answer.status.get("audit") if answer.status else None
    if told is None:
        return
    path, lag = told["path"], told["unshipped_bytes"]
    if told["unwritable"]:
        yield problem("audit log", f"{path}: cannot be written", "make room, then look again")
    elif told["ship_problem"]:
        yield problem("audit log", f"{lag:,} bytes wait: {told['ship_problem']}", "see `server`")
    elif lag > LAG:
        yield problem("audit log", f"{lag:,} bytes wait for the server", "see `server`")
    else:
        skipped = f", {told['skipped']} never shipped" if told["skipped"] else ""
        yield fine("audit log", f"{path}: {told['lines']:,} records since start, {lag:,} bytes wait{skipped}")
    yield from _evidence(told)


def _evidence(told: dict[str, Any]) -> Iterator[Finding]:
    """Yield what puts the log's worth as evidence in doubt; an agent of before tells of none of it."""
    if told.get("discontinuities"):
        text = f"{told['discontinuities']} times since start something has happened to the log"
        yield problem("audit log", text, "sifgate audit verify")
    if told.get("head_problem"):
        text = f"the server knows another history of this log: {told['head_problem']}"
        yield problem("audit log", text, "sifgate audit verify --site")
    if told.get("evidence_problem"):
        yield problem("evidence", told["evidence_problem"], "make room, or look at the file")
    if told.get("forward_problem"):
        text = f"{told.get('not_forwarded', 0):,} records not forwarded: {told['forward_problem']}"
        yield problem("audit log", text, "see audit.forward in sifgate.yaml")
