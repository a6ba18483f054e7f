# SPDX-License-Identifier: Apache-2.0
"""`PUT /v1/layers/{fingerprint}`: a slim layer comes in, its scan is queued."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sifgate.server import body, refusal
from sifgate.server.access import Role
from sifgate.server.api.verdicts import look_up
from sifgate.server.fingerprints import checked
from sifgate.server.intake import LARGEST_HEAD
from sifgate.server.refusal import Refused
from sifgate.server.services import Services

MEDIA_TYPE = "application/vnd.sifgate.layer.v1"
UPLOAD_SECONDS = 300.0
MOST_UPLOADS = 32
_UNKNOWN = 404


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(dependencies=[Depends(services.access.needs(Role.NODE))])
    uploads: set[object] = set()

    @routes.put("/v1/layers/{fingerprint}")
    async def put(request: Request, fingerprint: str) -> Response:
        checked(fingerprint)
        packed = _packed(request)
        if len(uploads) >= MOST_UPLOADS:
            raise Refused(429, "too_many", "too many uploads at once")
        ticket = object()
        uploads.add(ticket)
        try:
            known = await run_in_threadpool(_known, services, fingerprint)
            largest = services.intake.largest + LARGEST_HEAD
            if (
                known is not None
            ):  # the body is read all the same: a client that is still sending would see a reset
                await body.spooled(request, None, largest=largest, seconds=UPLOAD_SECONDS)
                return known
            with services.intake.spool() as upload:
                await body.spooled(request, upload, largest=largest, seconds=UPLOAD_SECONDS)
                await run_in_threadpool(services.intake.accept, fingerprint, upload, packed=packed)
            return refusal.json(202, {"state": "pending"})
        finally:
            uploads.discard(ticket)

    return routes


def _packed(request: Request) -> bool:
    """Return whether the body is compressed; raises Refused 400 for another type or coding."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != MEDIA_TYPE:
        raise Refused(400, "bad_request", f"Content-Type must be {MEDIA_TYPE}")
    coding = request.headers.get("Content-Encoding", "identity")
    if coding not in {"identity", "zstd"}:
        raise Refused(400, "bad_request", "Content-Encoding must be zstd or absent")
    return coding == "zstd"


def _known(services: Services, fingerprint: str) -> Response | None:
    """Return the answer where no layer is needed: 200 with a verdict, 202 with a scan under way; None otherwise."""
    found = look_up(services, fingerprint)
    if not isinstance(found, Response):
        return refusal.json(200, {"state": "known"})
    return None if found.status_code == _UNKNOWN else refusal.json(202, {"state": "pending"})
