# SPDX-License-Identifier: Apache-2.0
"""`POST /v1/steps`: the first decision for a step is everybody's."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sifgate.model.decision import Decision
from sifgate.server import body
from sifgate.server.access import Role
from sifgate.server.refusal import Refused
from sifgate.server.services import Services
from sifgate.store import steps

LARGEST = 1 << 20
_LONGEST_WORD = 256


class Ask(msgspec.Struct, frozen=True):
    """One node's own decision for a step."""

    job: str | int
    step: str | int
    fingerprint: str
    policy_digest: str
    decision: msgspec.Raw
    """A `Decision`, kept as it was sent."""


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(dependencies=[Depends(services.access.needs(Role.NODE))])

    @routes.post("/v1/steps")
    async def keep(request: Request) -> Response:
        ask = _decoded(await body.whole(request, largest=LARGEST))
        key = steps.StepKey(
            job=str(ask.job), step=str(ask.step), fingerprint=ask.fingerprint, policy_digest=ask.policy_digest
        )
        kept = await run_in_threadpool(steps.keep_first, services.database, key, bytes(ask.decision))
        return Response(kept, media_type="application/json")

    return routes


def _decoded(content: bytes) -> Ask:
    try:
        ask = msgspec.json.decode(content, type=Ask)
        msgspec.json.decode(ask.decision, type=Decision)
    except msgspec.DecodeError as error:
        raise Refused(400, "bad_request", f"not a step's decision: {error}") from error
    words = (str(ask.job), str(ask.step), ask.fingerprint, ask.policy_digest)
    if any(len(word) > _LONGEST_WORD or "\0" in word for word in words):
        raise Refused(400, "bad_request", "a key is too long or holds NUL")
    return ask
