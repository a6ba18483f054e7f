# SPDX-License-Identifier: Apache-2.0
"""What `sifgate status` shows of an agent: its parts' counters and what is wrong with any of them."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import psutil

from sifgate.image.worker import sandbox_layers

if TYPE_CHECKING:
    from sifgate.agent.wiring import Agent


def status_of(agent: Agent) -> dict[str, Any]:
    """Return what `sifgate status` shows of the agent."""
    policy = agent.holder.policy
    now = time.time()
    return {
        "version": own_version(),
        "python": platform.python_version(),
        "node": agent.answers.node,
        "pid": os.getpid(),
        "uptime_s": round(time.time() - agent.started),
        "resident_bytes": psutil.Process().memory_info().rss,
        "enforces": os.geteuid() == 0,
        "policy": {
            "digest": policy.digest,
            "mode": policy.stance.mode.value,
            "files": list(policy.files),
            "problem": agent.holder.problem,
            "posture_problem": agent.holder.posture_problem,
        },
        "server": {
            "url": agent.remote.settings.url,
            "reachable": agent.remote.reachable,
            "calls": agent.remote.calls,
        },
        "decisions": dict(agent.answers.decided),
        "decisions_by_door": dict(agent.answers.by_door),
        "alarms": dict(agent.alarms.count),
        "break_glass": {
            "in_force": len(agent.grants.in_force(now)),
            "problem": agent.grants.problem,
        },
        "fail_open_budget": _budget(agent, now),
        "connections": {
            "open": agent.listener.open,
            "accepted": agent.listener.accepted,
            "turned_away": agent.listener.turned_away,
        },
        "cache": {
            "verdicts": len(agent.cache),
            "files": len(agent.memo),
            "thrown_away": agent.cache.thrown_away,
        },
        "scans": {
            "in_flight": agent.scans.in_flight,
            "finished": agent.scans.finished,
            "extractions": agent.inspector.extractions,
            "fact_readings": agent.facts.readings,
        },
        "audit": _audit(agent),
        "sandbox": sandbox_layers(),
    }


def _audit(agent: Agent) -> dict[str, Any]:
    return {
        "path": str(agent.log.path),
        "lines": agent.log.lines,
        "failures": agent.log.failures,
        "unwritable": agent.log.failing,
        "unshipped_bytes": agent.shipper.lag,
        "shipped": agent.shipper.cursor.shipped,
        "skipped": agent.shipper.cursor.skipped,
        "ship_problem": agent.shipper.problem or agent.shipper.problem_beside,
        "heads": agent.heads.sent,
        "head_problem": agent.heads.problem,
        "chain": agent.log.chain.stand if agent.log.chain else None,
        "discontinuities": agent.log.chain.discontinuities if agent.log.chain else 0,
        "forwarded": agent.forwarder.forwarded,
        "not_forwarded": agent.forwarder.dropped,
        "forward_problem": agent.forwarder.problem,
        "evidence_problem": agent.evidence.problem,
    }


def _budget(agent: Agent, now: float) -> dict[str, Any]:
    """Return how many launches may pass on failures of sifgate in an hour, and how many have in this one."""
    budget = agent.holder.policy.fail_open_budget
    passed = agent.judge.budget.passed(now)
    if budget is None:
        return {"passed": passed}
    return {"passed": passed, "per_hour": budget.per_hour, "used_up": passed >= budget.per_hour}


def own_version() -> str:
    """Return the version of sifgate."""
    try:
        return version("sifgate")
    except PackageNotFoundError:
        return "unknown"
