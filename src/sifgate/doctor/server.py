# SPDX-License-Identifier: Apache-2.0
"""The server, Clair behind it, the age of its advisories, and this node's clock beside the server's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from sifgate.agent.remote import CONNECT_TIMEOUT, Remote
from sifgate.agent.wiring import read_settings
from sifgate.config import Places, ServerSettings
from sifgate.doctor.finding import Finding, fine, problem, roots
from sifgate.engine import report
from sifgate.errors import ServerUnreachable

OLD = 14.0
"""Days after which advisories say too little of what is known today."""
SKEW = 60.0
"""Seconds by which the clocks may differ: tokens and expiry dates are read by them."""
_DAY = 86_400.0


def look(places: Places, agent: dict[str, Any] | None, now: datetime) -> Iterator[Finding]:
    """Yield the state of server, Clair, advisories and clock; a user sees what the agent says."""
    if os.geteuid() != 0 and not os.access(places.state, os.W_OK):
        yield from _told(agent)
        return
    settings = read_settings(places).server
    if not settings.url:
        yield problem(
            "server", "none is named", f"`server.url` in {places.etc / 'sifgate.yaml'}, or `sifgate up`"
        )
        return
    try:
        status = Remote(settings).status()
    except ServerUnreachable as error:
        yield problem(
            "server", f"{settings.url}: {error}", error.hint or "is it up? name, route, certificate, token"
        )
        return
    yield fine("server", f"{settings.url}: {status['version']}")
    yield _clair(status["clair"])
    yield _advisories(places, status["advisories"], now)
    yield _clock(settings, now)


def _told(agent: dict[str, Any] | None) -> Iterator[Finding]:
    if agent is None or agent["server"]["reachable"] is None:
        yield roots("server")
    elif agent["server"]["reachable"]:
        yield fine("server", f"{agent['server']['url']}: answered the agent last time")
    else:
        yield problem("server", f"{agent['server']['url']}: does not answer the agent", "sudo sifgate doctor")


def _clair(clair: dict[str, Any]) -> Finding:
    if clair["reachable"]:
        return fine("Clair", f"{clair['version']} at {clair['url']}")
    return problem(
        "Clair",
        f"{clair['url']}: {clair['problem'] or 'does not answer'}",
        "start it; unknown images wait for it",
    )


def _advisories(places: Places, told: dict[str, Any], now: datetime) -> Finding:
    """Return the age of the oldest source: by its own date where the engine knows that, else by its import."""
    found = report.read(places.run / "engine.json")
    if found is not None and found.advisories:
        dates = {row.updater: row.as_of for row in found.advisories}
    else:
        dates = {name: datetime.fromisoformat(text) for name, text in told["updaters"].items()}
    if not dates:
        return problem(
            "advisories", "none: nothing can be found in any image", "`engine.advisories` in sifgate.yaml"
        )
    ages = {
        name: (now - (date if date.tzinfo else date.replace(tzinfo=timezone.utc))).total_seconds() / _DAY
        for name, date in dates.items()
    }
    oldest = max(ages, key=lambda name: ages[name])
    text = f"{len(ages)} sources, the oldest ({oldest}) {max(0.0, ages[oldest]):.0f} days old"
    if ages[oldest] > OLD:
        return problem(
            "advisories", text, "Clair's updaters, a mirror or a bundle: docs/operations.md, Advisories"
        )
    return fine("advisories", text)


def _clock(settings: ServerSettings, now: datetime) -> Finding:
    """Return how far this clock is from the server's, by the date of an answer; it needs no token to be given one."""
    try:
        answer = requests.get(
            f"{settings.url}/v1/status", verify=str(settings.certificate_file), timeout=CONNECT_TIMEOUT
        )
        apart = abs((parsedate_to_datetime(answer.headers["Date"]) - now).total_seconds())
    except (requests.RequestException, KeyError, ValueError) as error:
        return problem("clock", f"the server's time is not to be had: {error}", "see `server`")
    if apart > SKEW:
        return problem(
            "clock", f"{apart:.0f} s apart from the server's", "chronyc makestep, or timedatectl set-ntp true"
        )
    return fine("clock", f"{apart:.0f} s apart from the server's")
