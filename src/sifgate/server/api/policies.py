# SPDX-License-Identifier: Apache-2.0
"""`PUT`/`GET /v1/policies/{digest}`: the files of a policy that a node decides with, kept by what they mean.

Evidence of what that node used, not a policy that anybody else obeys: it is stored with the name of the token, after
the digest was computed from the files by the same loader that a node uses.
"""

from __future__ import annotations

import threading

import msgspec
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sifgate.errors import PolicyError
from sifgate.policy.load import policy_of
from sifgate.policy.sources import PolicySources
from sifgate.server import body, refusal
from sifgate.server.access import Role
from sifgate.server.api.export import FOREVER, checked_digest
from sifgate.server.refusal import Refused
from sifgate.server.services import Services
from sifgate.store import policies

LARGEST = 32 << 20
MOST_A_DAY = 200
"""New policies of one token within a day; a site changes its policy a few times."""


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    one = threading.Lock()  # loading is work for a core; requests wait for each other, not for it alone

    @routes.put("/v1/policies/{digest}", dependencies=[Depends(services.access.needs(Role.NODE))])
    async def keep(request: Request, digest: str) -> Response:
        checked_digest(digest)
        content = await body.whole(request, largest=LARGEST)
        sender = request.state.holder.name
        return await run_in_threadpool(_keep, services, digest, content, sender, one)

    @routes.get(
        "/v1/policies/{digest}", dependencies=[Depends(services.access.needs(Role.NODE, Role.VIEWER))]
    )
    async def read(request: Request, digest: str) -> Response:
        sources = await run_in_threadpool(policies.read, services.database, checked_digest(digest))
        if sources is None:
            raise Refused(404, "unknown", "no policy has this digest")
        headers = {"ETag": f'"{digest}"', "Cache-Control": FOREVER}
        if headers["ETag"] in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        return Response(sources, media_type="application/json", headers=headers)

    return routes


def _keep(services: Services, digest: str, content: bytes, sender: str, one: threading.Lock) -> Response:
    """Return 200 for a policy that is there already, 201 for a new one; raises Refused."""
    if policies.has(services.database, digest):
        return refusal.json(200, {"stored": False})
    if policies.lately(services.database, sender) >= MOST_A_DAY:
        raise Refused(429, "busy", f"{sender} has stored {MOST_A_DAY} policies within a day")
    with one:
        sources = _checked(digest, content)
    stored = policies.keep(services.database, digest, msgspec.json.encode(sources), sender)
    return refusal.json(201 if stored else 200, {"stored": stored})


def _checked(digest: str, content: bytes) -> PolicySources:
    """Return the sources whose policy has this digest; raises Refused 400 for others."""
    try:
        sources = msgspec.json.decode(content, type=PolicySources)
        found = policy_of(sources).digest
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "bad_request", f"not the sources of a policy: {error}") from error
    except PolicyError as error:
        raise Refused(400, "policy_invalid", str(error)) from error
    if found != digest:
        raise Refused(400, "policy_rejected", f"these sources are the policy {found}, not {digest}")
    return sources
