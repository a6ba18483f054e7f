# SPDX-License-Identifier: Apache-2.0
"""`GET /v1/launches/export`: the records of a time as a stream. `GET /v1/verdicts/by-digest/…`: what they name."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Literal

from fastapi import APIRouter, Depends
from fastapi.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sifgate.server import records
from sifgate.server.access import Role
from sifgate.server.api.verdicts import served
from sifgate.server.refusal import Refused
from sifgate.server.services import Services
from sifgate.store import verdicts
from sifgate.store.launch_export import export
from sifgate.store.launch_search import BEGIN, END

AT_ONCE = 2
"""Exports at the same time: each sorts on the database's disk."""
FOREVER = "private, max-age=31536000, immutable"
_LONGEST_DIGEST = 128


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(dependencies=[Depends(services.access.needs(Role.VIEWER))])
    places = threading.BoundedSemaphore(AT_ONCE)

    @routes.get("/v1/launches/export")
    async def stream(
        since: str = "", until: str = "", order: Literal["verdict", "time"] = "verdict"
    ) -> Response:
        start = records.moment(since) if since else BEGIN
        end = records.moment(until) if until else END
        if not places.acquire(blocking=False):
            raise Refused(429, "busy", f"{AT_ONCE} exports are under way")
        pieces = export(services.database, start, end, order)
        try:
            first: list[bytes] = await run_in_threadpool(
                next, pieces, []
            )  # an error here still has a status of its own
        except BaseException:
            places.release()
            raise
        return _Stream(first, pieces, places)

    @routes.get("/v1/verdicts/by-digest/{digest}")
    async def verdict(request: Request, digest: str) -> Response:
        stored = await run_in_threadpool(verdicts.by_digest, services.database, checked_digest(digest))
        if stored is None:
            raise Refused(404, "unknown", "no verdict has this digest")
        return served(request, stored, caching=FOREVER)

    return routes


def checked_digest(digest: str) -> str:
    """Return a digest that may be looked for; raises Refused 400."""
    if not 0 < len(digest) <= _LONGEST_DIGEST:
        raise Refused(400, "bad_request", "not a digest")
    return records.text(digest)


class _Stream(StreamingResponse):
    """Records one a line; the database's cursor ends with the response, also where the client has gone."""

    def __init__(
        self,
        first: list[bytes],
        pieces: Generator[list[bytes], None, None],
        places: threading.BoundedSemaphore,
    ) -> None:
        super().__init__(_lines(first, pieces), media_type="application/x-ndjson")
        self._pieces = pieces
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._places.release()
            self._pieces.close()


async def _lines(first: list[bytes], pieces: Iterator[list[bytes]]) -> AsyncIterator[bytes]:
    if first:
        yield b"\n".join((*first, b""))
    async for piece in iterate_in_threadpool(pieces):
        yield b"\n".join((*piece, b""))
