# SPDX-License-Identifier: Apache-2.0
"""A container's OCI state, as its runtime gave it to a hook → the launch; the shim opens the bundle's `config.json`.

`config.json` is opened by the shim, with the user's ids and in his mount namespace, and read here, bounded: it tells
where the root file system lies where the runtime does not say so itself, what runs, and what is mounted over it.
"""

from __future__ import annotations

import msgspec

from sifgate.agent.loop import Loop
from sifgate.agent.parses import Parses
from sifgate.agent.podman import Vouched, vouched
from sifgate.agent.reads import Reads
from sifgate.agent.request import Asker, launch_of
from sifgate.agent.session import Session
from sifgate.errors import Unresolved
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import LaunchEvent
from sifgate.origin import oci
from sifgate.wire import Message

_QUICK = 32 << 10
"""Bytes of JSON that are parsed in the loop, in half a millisecond."""


class Bundles:
    """Reads what OCI hooks send; used from the loop only."""

    def __init__(self, loop: Loop, reads: Reads, parses: Parses) -> None:
        self._loop = loop
        self._reads = reads
        self._parses = parses

    async def launch(
        self, session: Session, message: Message, asker: Asker
    ) -> tuple[LaunchEvent, Vouched | None]:
        """Return the container's start (`UNKNOWN` where nothing tells from what), and what vouches for its image."""
        data = message.first("state")
        state = oci.read_state(data) if len(data) <= _QUICK else None
        if len(data) > _QUICK:
            state = await self._parses.of(asker.requester.uid, lambda: oci.read_state(data))
        config = await self._config(session, state, asker) if state is not None else None
        event = launch_of(message, asker, oci.sighting(state, config))
        if state is None:
            return event, None
        voucher = None
        if session.peer.uid == 0:
            voucher = await self._loop.offload(lambda: vouched(state), quick=True)
        name = event.name or state.name or (voucher.name if voucher else "")
        return msgspec.structs.replace(event, name=name), voucher

    async def _config(self, session: Session, state: oci.State, asker: Asker) -> oci.Config | None:
        """Return what the bundle's `config.json` says; None where it cannot be had."""
        try:
            descriptor = await session.open(
                ImageReference(state.config, ReferenceKind.PATH, state.config), "/"
            )
        except Unresolved:
            return None
        if session.identity is None or not session.identity.regular:
            return None
        uid = asker.requester.uid
        data = await self._reads.of(uid, descriptor, oci.CONFIG_LIMIT)
        if data is None:
            return None
        if len(data) <= _QUICK:
            return oci.read_config(data)
        return await self._parses.of(uid, lambda: oci.read_config(data))
