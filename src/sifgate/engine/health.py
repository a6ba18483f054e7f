# SPDX-License-Identifier: Apache-2.0
"""What `sifgate status` knows: the supervisor's report held against the processes, the sandbox, the agent's counters.

Imports nothing of the extra [engine]: a node that has only an agent has a status too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from sifgate.client import Client
from sifgate.config import Places
from sifgate.engine import report
from sifgate.errors import AgentUnreachable, ConfigError, ProtocolError
from sifgate.image.worker import sandbox_layers

_SIGN_OF_LIFE = 3.0
_DAY = 86_400.0
_WELL = {"up", "yours", "left out"}


class PartHealth(msgspec.Struct, frozen=True):
    """One part, as it is now."""

    name: str
    state: str
    version: str = ""
    pid: int | None = None
    restarts: int = 0
    address: str = ""
    detail: str = ""


class AdvisoryHealth(msgspec.Struct, frozen=True):
    """The advisories of one updater."""

    updater: str
    kind: str
    count: int
    as_of: datetime
    age_days: float
    loaded: datetime


class Health(msgspec.Struct, frozen=True):
    """The whole answer of `sifgate status`."""

    up: bool
    phase: str
    """As in the supervisor's report, or `unsupervised` (it was killed, parts live), `agent only`, `down`."""
    message: str
    enforcing: bool
    since: datetime | None
    supervisor: int | None
    parts: tuple[PartHealth, ...]
    advisories: tuple[AdvisoryHealth, ...]
    sandbox: dict[str, str]
    agent: dict[str, Any] | None
    """The agent's own status, None where none answers."""


def look(places: Places, now: datetime) -> Health:
    """Return the state of everything below these places."""
    agent, complaint = _ask_agent(places)
    found = report.read(places.run / "engine.json")
    if found is None:
        phase = "agent only" if agent else "down"
        message = "" if agent else complaint
        return Health(
            agent is not None, phase, message, agent is not None, None, None, (), (), sandbox_layers(), agent
        )
    supervised = found.supervisor.find() is not None
    parts = tuple(_part(name, part) for name, part in found.parts.items())
    phase, message = found.phase, found.message
    if not supervised:
        alive = any(part.pid for part in parts)
        phase = "unsupervised" if alive else "failed" if found.phase == "failed" else "down"
        message = "the supervisor is gone; `sifgate up` starts everything anew" if alive else message
    advisories = tuple(_advisory(row, now) for row in found.advisories)
    return Health(
        phase == "up" and all(part.state in _WELL for part in parts), phase, message, found.enforcing, found.since,
        found.supervisor.pid if supervised else None, parts, advisories, sandbox_layers(), agent,
    )  # fmt: skip


def _part(name: str, told: report.PartReport) -> PartHealth:
    alive = told.process is not None and told.process.find() is not None
    state = told.state if alive or told.state in {"yours", "left out", "failed", "down"} else "down"
    pid = told.process.pid if told.process and alive else None
    return PartHealth(name, state, told.version, pid, told.restarts, told.address, told.detail)


def _advisory(row: report.Loaded, now: datetime) -> AdvisoryHealth:
    age = max(0.0, (now - row.as_of).total_seconds() / _DAY)
    return AdvisoryHealth(row.updater, row.kind, row.count, row.as_of, round(age, 1), row.loaded)


def _ask_agent(places: Places) -> tuple[dict[str, Any] | None, str]:
    try:
        body = Client(str(places.run / "agent.sock"), sign_of_life=_SIGN_OF_LIFE).query("status")
        answer = msgspec.json.decode(body)
    except (AgentUnreachable, ProtocolError, ConfigError, msgspec.DecodeError) as error:
        return None, str(error)
    return (answer if isinstance(answer, dict) else {"answer": answer}), ""
