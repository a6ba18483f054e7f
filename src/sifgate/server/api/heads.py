# SPDX-License-Identifier: Apache-2.0
"""`POST /v1/heads`: the head of a node's audit chain, countersigned. `GET /v1/heads`, `/v1/heads/key`: to check by."""

from __future__ import annotations

import re

import msgspec
import structlog
from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from sifgate.model.head import Countersigned, Head
from sifgate.server import body, records, refusal
from sifgate.server.access import Role
from sifgate.server.refusal import Refused
from sifgate.server.services import Services
from sifgate.store import heads
from sifgate.store.heads import Contradiction

LARGEST = 4096
_LONGEST = 256
_HASH = re.compile(r"[0-9a-f]{64}")
_LOG = structlog.get_logger(__name__)


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    viewer = [Depends(services.access.needs(Role.NODE, Role.VIEWER))]

    @routes.post("/v1/heads", dependencies=[Depends(services.access.needs(Role.NODE))])
    async def add(request: Request) -> Response:
        head = _decoded(await body.whole(request, largest=LARGEST))
        return refusal.json(200, await run_in_threadpool(_add, services, head, request.state.holder.name))

    @routes.get("/v1/heads", dependencies=viewer)
    async def find(node: str = "") -> Response:
        return refusal.json(200, await run_in_threadpool(_found, services, records.text(node)))

    @routes.get("/v1/heads/key", dependencies=viewer)
    async def key() -> Response:
        return refusal.json(200, await run_in_threadpool(_keys, services))

    return routes


def _add(services: Services, head: Head, sender: str) -> Countersigned:
    """Return the head countersigned; raises Refused 409 where it contradicts an earlier one."""
    answer = heads.add(services.database, head, sender, services.signer.sign)
    if isinstance(answer, Contradiction):
        _LOG.error(
            "audit chain contradicts itself",
            node=head.node,
            chain=head.chain,
            seq=head.seq,
            head=head.head,
            sender=sender,
            reason=answer.reason,
        )
        raise Refused(409, "contradiction", answer.reason)
    if answer.begun_anew:
        _LOG.warning("audit chain begun anew", node=head.node, chain=head.chain, seq=head.seq, sender=sender)
    return answer.signed


def _found(services: Services, node: str) -> dict[str, object]:
    return {"heads": heads.of(services.database, node), "refused": heads.refused(services.database, node)}


def _keys(services: Services) -> list[dict[str, str]]:
    """Return the public keys, the one in use first."""
    present = services.signer.key
    known = sorted(heads.public_keys(services.database), key=lambda pair: pair[0] != present)
    return [{"key": key, "public": public, "algorithm": "ed25519"} for key, public in known]


def _decoded(content: bytes) -> Head:
    try:
        head = msgspec.json.decode(content, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "bad_request", f"not a head: {error}") from error
    for word in (head.node, head.chain):
        if not 0 < len(records.text(word)) <= _LONGEST:
            raise Refused(400, "bad_request", "node and chain must be short words")
    if not 0 < head.seq < records.BIGGEST or not _HASH.fullmatch(head.head):
        raise Refused(400, "bad_request", "seq must be positive, head 64 hexadecimal digits")
    records.moment(head.time)
    return head
