# SPDX-License-Identifier: Apache-2.0
"""`GET /v1/status`: what runs here, how old the advisories are, how long the queue is."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from sifgate.image.worker import sandbox_layers
from sifgate.server import refusal
from sifgate.server.access import Role
from sifgate.server.services import Services
from sifgate.store import scans, verdicts


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(dependencies=[Depends(services.access.needs(Role.NODE, Role.VIEWER))])

    @routes.get("/v1/status")
    async def status() -> Response:
        return refusal.json(200, await run_in_threadpool(_status, services))

    return routes


def _status(services: Services) -> dict[str, Any]:
    present = services.watch.current
    operations = present.operations if present else {}
    return {
        "version": metadata.version("sifgate"),
        "clair": {
            "url": services.clair.url,
            "version": services.clair_version,
            "reachable": services.watch.reachable,
            "problem": services.watch.problem,
            "index_state": present.index_state if present else "",
        },
        "generation": present.generation if present else {},
        "advisories": {
            "updaters": {name: operations[name].date for name in sorted(operations)},
            "enrichments": {name: entry.date for name, entry in sorted(present.enrichments.items())}
            if present
            else {},
            "kev": len(present.feeds.kev) if present else 0,
            "epss": len(present.feeds.epss) if present else 0,
            "distributions": len(present.feeds.support) if present else 0,
            "package_support": len(present.feeds.packages) if present else 0,
        },
        "requests": dict(services.requests),
        "queue": scans.counts(services.database),
        "verdicts": verdicts.count(services.database),
        "sandbox": sandbox_layers(),
    }
