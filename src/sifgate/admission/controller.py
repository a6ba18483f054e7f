# SPDX-License-Identifier: Apache-2.0
"""The use case: one launch, from its image reference to the decision (design §6)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sifgate.admission.ports import Footing, Ports, Told
from sifgate.errors import Unresolved
from sifgate.model.decision import Action, Decision, Reason
from sifgate.model.image import ImageFacts, ReferenceKind
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import ScanState


class Review(msgspec.Struct, frozen=True):
    """What came out, and what it stands on."""

    launch: LaunchEvent
    footing: Footing
    decision: Decision
    own: Decision
    """What this node would have decided; differs from `decision` where another node of the step was first."""
    told: str = ""
    """Code of the record that this launch has already, from another door; empty: it has none."""
    at: float = 0.0
    """The moment of the decision, seconds since 1970, whole milliseconds; 0: none was made here."""
    asked: LaunchEvent | None = None
    """The launch as it was asked about, before anything was found out; None: `launch` is."""


async def review(launch: LaunchEvent, ports: Ports, *, patience: float) -> Review:
    """Return the review of one launch; waits at most `patience` seconds for a scan."""
    if launch.reference.kind is ReferenceKind.INSTANCE:
        return _elsewhere(launch, ports.judge.policy_digest, _STARTED)
    if launch.reference.kind is ReferenceKind.TRANSPORT and ports.judged_when_pulled:
        return _elsewhere(launch, ports.judge.policy_digest, _PULLED)
    found = await _look(launch, ports, patience)
    if isinstance(found, Told):
        return Review(launch, found.footing, found.decision, found.decision, found.reference)
    footing = _bounded_pending(found.footing, launch, ports)
    full = launch if found.facts is None else msgspec.structs.replace(launch, image=found.facts)
    footing, full, at = ports.judge.prepare(footing, full)
    own = await ports.judge.decide(footing, full, at)
    decision = own
    if launch.job.nodes > 1:
        decision = await ports.steps.keep_first(full, footing, own)
    return Review(full, footing, decision, own, at=at, asked=launch)


class _Seen(NamedTuple):
    """What is known of an image and of its file."""

    footing: Footing
    facts: ImageFacts | None = None
    """None: the policy reads none."""


async def _look(launch: LaunchEvent, ports: Ports, patience: float) -> _Seen | Told:
    pulled = launch.reference.kind is ReferenceKind.TRANSPORT and launch.word > 0 and ports.shim.pulls
    if launch.reference.kind is not ReferenceKind.PATH and not pulled:
        return _Seen(Footing(state=ScanState.UNRESOLVED, detail=_NOT_A_FILE[launch.reference.kind]))
    try:
        if pulled:
            descriptor = await ports.shim.pull(launch.reference, launch.word)
        else:
            descriptor = await ports.shim.open(launch.reference, launch.cwd)
    except Unresolved as error:
        return _Seen(Footing(state=ScanState.UNRESOLVED, detail=str(error)))
    told = ports.past.told(launch)
    if told is not None:
        return told
    facts = ports.images.describe(descriptor, launch, patience)
    footing = ports.images.recall(descriptor)
    if footing is None:
        footing = await ports.images.find_out(descriptor, launch, patience)
    return _Seen(footing, None if facts is None else await facts)


def _bounded_pending(footing: Footing, launch: LaunchEvent, ports: Ports) -> Footing:
    if footing.state is not ScanState.PENDING or ports.passes.take(
        launch.requester.uid, launch.reference.path or launch.reference.text
    ):
        return footing
    return msgspec.structs.replace(footing, state=ScanState.PENDING_EXHAUSTED)


def _elsewhere(launch: LaunchEvent, policy_digest: str, reason: Reason) -> Review:
    """Return the review of what is judged at another moment: recorded here, decided there."""
    decision = Decision(Action.LOG, Action.LOG, (reason,), policy_digest=policy_digest)
    return Review(launch, Footing(), decision, decision)


_STARTED = Reason("instance", Action.LOG, "a running instance: its image was judged when it started")
_PULLED = Reason("transport", Action.LOG, "not a file yet: judged when the runtime has pulled it")
_NOT_A_FILE = {
    ReferenceKind.TRANSPORT: "not a file: the runtime would fetch or convert the image itself",
    ReferenceKind.UNKNOWN: "the command line cannot be understood",
}
