# SPDX-License-Identifier: Apache-2.0
"""One step, one answer: the server keeps a step's first decision.

Asked of the server only for steps on more than one node. Where it cannot be asked, this node's own decision stands;
since the shim of a node that refuses ends the whole step (`plugin/spank/endstep.c`), no other outcome than "all run" or
"none runs" is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from sifgate.admission.ports import Footing
from sifgate.agent.remote import Remote
from sifgate.agent.turns import Promise
from sifgate.errors import ClairUnavailable, ServerUnreachable
from sifgate.model.decision import Decision
from sifgate.model.image import ImageFacts
from sifgate.model.launch import LaunchEvent

Offload = Callable[[Callable[[], Decision]], Promise[Decision]]


class Steps:
    """Implements the port `Steps` of a review."""

    def __init__(self, remote: Remote, offload: Offload) -> None:
        self._remote = remote
        self._offload = offload

    def keep_first(self, launch: LaunchEvent, footing: Footing, decision: Decision) -> Promise[Decision]:
        """See `Steps.keep_first`; without job, fingerprint or server this node's own decision."""
        job = launch.job
        if not launch.requester.trusted or job.job_id <= 0 or not footing.fingerprint:
            return Promise.kept(decision)

        name = _image(footing.fingerprint, launch)

        def work() -> Decision:
            try:
                return self._remote.keep_first(job.job_id, job.step_id, name, decision)
            except (ServerUnreachable, ClairUnavailable):
                return decision

        return self._offload(work)


def _image(fingerprint: str, launch: LaunchEvent) -> str:
    """Return the name of the image in its step: 64 hex digits; the fingerprint where the policy reads only packages.

    Where it reads facts of the file, these are part of the name: what an exception or a trusted store lets pass for one
    image is no answer for another one with equal packages.
    """
    if launch.image == _NO_FACTS:
        return fingerprint
    facts = msgspec.structs.astuple(launch.image)
    whole = repr((fingerprint, launch.reference.path, facts)).encode("utf-8", "backslashreplace")
    return hashlib.sha256(whole).hexdigest()


_NO_FACTS = ImageFacts()
