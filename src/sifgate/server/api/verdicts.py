# SPDX-License-Identifier: Apache-2.0
"""`GET /v1/verdicts/{fingerprint}?wait=S`: the verdict, or where its scan stands."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sifgate.server import refusal
from sifgate.server.access import Role
from sifgate.server.fingerprints import checked
from sifgate.server.services import Services
from sifgate.store import scans, verdicts
from sifgate.store.verdicts import StoredVerdict

LONGEST_WAIT = 30.0
_PENDING = 202
_LOOK_AGAIN = 5.0
"""Seconds after which a waiting request looks although no bell rang."""


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(dependencies=[Depends(services.access.needs(Role.NODE, Role.VIEWER))])

    @routes.get("/v1/verdicts/{fingerprint}")
    async def read(request: Request, fingerprint: str, wait: float = 0.0) -> Response:
        checked(fingerprint)
        deadline = time.monotonic() + min(max(wait, 0.0), LONGEST_WAIT)
        with services.bells.hung(fingerprint) as bell:
            while True:
                bell.clear()  # before looking: a change after this point rings again
                found = await run_in_threadpool(look_up, services, fingerprint)
                if isinstance(found, StoredVerdict):
                    return served(request, found)
                left = deadline - time.monotonic()
                if found.status_code != _PENDING or left <= 0 or services.bells.closing:
                    return found
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(bell.wait(), min(left, _LOOK_AGAIN))

    return routes


def look_up(services: Services, fingerprint: str) -> StoredVerdict | Response:
    """Return the newest verdict, or the answer that stands in its place.

    A verdict of an older generation is served, and matched again in the background.
    """
    progress = scans.progress(services.database, fingerprint)
    if progress is None or progress.state == "wanted":
        return refusal.answer(404, "unknown", "no verdict: upload the layer")
    stored = verdicts.read(services.database, fingerprint)
    if stored is not None:
        present = services.watch.current
        if present is not None and stored.generation != present.generation.id and progress.state == "done":
            with services.database.transaction() as connection:
                scans.enqueue(connection, fingerprint, rematch=True)
        return stored
    if progress.open and (progress.outage or not services.watch.reachable):
        return refusal.answer(503, "clair_unavailable", services.watch.problem or "Clair did not answer")
    return refusal.json(202, {"state": "pending"})


def served(request: Request, stored: StoredVerdict, *, caching: str = "private, no-cache") -> Response:
    """Return the canonical bytes, compressed as they are stored where the client takes that."""
    headers = {"ETag": f'"{stored.digest}"', "Vary": "Accept-Encoding", "Cache-Control": caching}
    if f'"{stored.digest}"' in request.headers.get("If-None-Match", ""):
        return Response(status_code=304, headers=headers)
    body = stored.body
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, media_type="application/json", headers=headers)
