# SPDX-License-Identifier: Apache-2.0
"""What a judgement needs on the node itself: settings, policy, posture file, sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from sifgate.config import Places, load_settings
from sifgate.doctor.finding import Finding, fine, problem
from sifgate.errors import PolicyError
from sifgate.image.worker import sandbox_layers
from sifgate.policy.document import Policy
from sifgate.policy.exceptions.announce import announced
from sifgate.policy.load import load_policy

INSTALL = "sifgate policy install FILE"
RELOAD = "sifgate reload"
SHOWN = 5
"""Exceptions named in one line."""


def settings(places: Places) -> Iterator[Finding]:
    """Yield whether `sifgate.yaml` can be read."""
    path = places.etc / "sifgate.yaml"
    load_settings(path)
    yield fine("settings", f"{path}: valid" if path.exists() else f"{path}: none, defaults are in force")


def policy(places: Places, agent: dict[str, Any] | None) -> Iterator[Finding]:
    """Yield whether the policy can be loaded, the agent has loaded it, and the posture file says the same."""
    path = places.etc / "policy.yaml"
    if not path.exists():
        yield problem("policy", f"{path}: does not exist: the agent logs and stops nothing", INSTALL)
        return
    try:
        found = load_policy(path)
    except PolicyError as error:
        yield problem("policy", str(error), error.hint or "sifgate policy validate")
        return
    in_force = agent["policy"] if agent else {}
    if in_force.get("problem"):
        yield problem("policy", f"the agent keeps its last good one: {in_force['problem']}", RELOAD)
    elif in_force and in_force["digest"] != found.digest:
        yield problem("policy", f"{path}: changed since the agent loaded it", RELOAD)
    else:
        mode, rules = found.stance.mode.value, len(found.rules)
        yield fine("policy", f"mode {mode}, {rules} rules" + ("" if agent else " (no agent to compare with)"))
    yield _posture(places, found)
    if found.exceptions:
        yield exceptions(found, datetime.now(timezone.utc))


def exceptions(policy: Policy, now: datetime) -> Finding:
    """Return how many exceptions are in force, or which ones end soon: jobs that ran until then may be refused."""
    days = policy.exception_settings.limits.announce_days
    ending = announced(policy.exceptions, now, days)
    if ending:
        named = ", ".join(f"{each.id} ({each.expires})" for each in ending[:SHOWN])
        more = f" and {len(ending) - SHOWN} more" if len(ending) > SHOWN else ""
        return problem(
            "exceptions", f"end soon: {named}{more}", f"sifgate exceptions list --expiring {days}d"
        )
    active = sum(each.in_force(now) for each in policy.exceptions)
    return fine("exceptions", f"{active} of {len(policy.exceptions)} in force, none ends within {days} days")


def _posture(places: Places, policy: Policy) -> Finding:
    path = places.etc / "posture"
    try:
        written = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return problem("posture", f"{path}: does not exist: without an agent every launch is allowed", RELOAD)
    if written != policy.posture():
        return problem("posture", f"{path}: says something else than the policy", RELOAD)
    lines = dict(line.split(" ", 1) for line in written.splitlines() if " " in line)
    return fine("posture", f"without an agent: {lines.get('agent_unreachable', '?')}")


def sandbox() -> Iterator[Finding]:
    """Yield which layers the sandbox of the image worker has here."""
    layers = sandbox_layers()
    if "worker" in layers:
        yield problem(
            "sandbox",
            f"{layers['worker']}: no image is read here",
            "docs/operations.md, causes of `unscannable`",
        )
        return
    missing = [f"{name} ({state})" for name, state in sorted(layers.items()) if state != "active"]
    active = ", ".join(name for name, state in sorted(layers.items()) if state == "active")
    if not active:
        yield problem("sandbox", f"no layer is active: {', '.join(missing)}", "a kernel with seccomp")
    else:
        yield fine("sandbox", active + (f"; without {', '.join(missing)}" if missing else ""))
