# SPDX-License-Identifier: Apache-2.0
"""`POST /v1/launches`: audit records come in, at least once. `GET /v1/launches`: they are searched."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sifgate.server import body, records, refusal
from sifgate.server.access import Role
from sifgate.server.refusal import Refused
from sifgate.server.services import Services
from sifgate.store import launch_search
from sifgate.store.launch_search import BEGIN, END, Cursor

LARGEST = 16 << 20
_TEXTS = ("user", "account", "node", "door", "action", "outcome", "image", "rule", "fingerprint")


class Filters(msgspec.Struct, frozen=True):
    """The parameters of a search as they were written."""

    user: str = ""
    job: int = 0
    account: str = ""
    image: str = ""
    cve: str = ""
    rule: str = ""
    outcome: str = ""
    action: str = ""
    door: str = ""
    node: str = ""
    fingerprint: str = ""
    since: str = ""
    until: str = ""
    limit: int = 100
    cursor: str = ""


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()

    @routes.post("/v1/launches", dependencies=[Depends(services.access.needs(Role.NODE))])
    async def store(request: Request) -> Response:
        batch = records.batch(await body.whole(request, largest=LARGEST))
        stored = await run_in_threadpool(services.launches.store, batch)
        return refusal.json(200, {"stored": stored})

    @routes.get("/v1/launches", dependencies=[Depends(services.access.needs(Role.VIEWER))])
    async def find(given: Annotated[Filters, Depends(_filters)]) -> Response:
        page = await run_in_threadpool(launch_search.find, services.database, _query(given))
        found = {"records": [msgspec.Raw(record) for record in page.bodies]}
        return refusal.json(200, {**found, "cursor": page.cursor.text() if page.cursor else ""})

    return routes


def _filters(
    *,
    user: str = "",
    job: Annotated[int, Query(ge=0, lt=records.BIGGEST)] = 0,
    account: str = "",
    image: str = "",
    cve: str = "",
    rule: str = "",
    outcome: str = "",
    action: str = "",
    door: str = "",
    node: str = "",
    fingerprint: str = "",
    since: str = "",
    until: str = "",
    limit: Annotated[int, Query(ge=1)] = 100,
    cursor: str = "",
) -> Filters:
    """Return the parameters of a search."""
    return Filters(
        user, job, account, image, cve, rule, outcome, action, door, node, fingerprint, since, until, limit, cursor
    )  # fmt: skip


def _query(given: Filters) -> launch_search.Query:
    return launch_search.Query(
        **{name: records.text(getattr(given, name)) for name in _TEXTS},
        job=given.job,
        cve=records.text(given.cve).upper(),
        since=records.moment(given.since) if given.since else BEGIN,
        until=records.moment(given.until) if given.until else END,
        limit=min(given.limit, launch_search.MOST),
        after=_cursor(given.cursor) if given.cursor else None,
    )


def _cursor(text: str) -> Cursor:
    try:
        return launch_search.cursor(text)
    except ValueError as error:
        raise Refused(400, "bad_request", f"cursor: {error}") from error
