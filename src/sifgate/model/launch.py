# SPDX-License-Identifier: Apache-2.0
"""One attempt to start a container."""

from __future__ import annotations

from enum import Enum

import msgspec

from sifgate.model.image import ImageFacts, ImageReference


class Door(str, Enum):
    """Where a launch enters."""

    SPANK = "spank"
    PROLOG = "prolog"
    WRAPPER = "wrapper"
    APPTAINER_PLUGIN = "apptainer-plugin"
    OCI_HOOK = "oci-hook"
    ENROOT_HOOK = "enroot-hook"
    GUARD = "guard"
    SUBMIT = "submit"
    CLI = "cli"


class Requester(msgspec.Struct, frozen=True):
    """Who asks, from the kernel; names are resolved by the agent, never taken from the message."""

    uid: int
    gid: int = -1
    user: str = ""
    groups: tuple[str, ...] = ()
    trusted: bool = False
    """Whether the facts in the message count: only from a peer with uid 0."""


class JobFacts(msgspec.Struct, frozen=True):
    """What Slurm says of the job; empty outside a job or where the peer may not claim it."""

    job_id: int = 0
    step_id: int = -1
    node: str = ""
    nodes: int = 1
    """Nodes of the step: more than one means that the server keeps one decision for all."""
    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""


class Grant(msgspec.Struct, frozen=True):
    """A break-glass grant: so long, one user is not refused; given by `sifgate break-glass`, recorded, announced."""

    id: str
    uid: int
    reason: str
    by: str
    """Who took it: a member of the policy's groups, or root."""
    begins: str
    ends: str
    """ISO times, UTC."""


class LaunchEvent(msgspec.Struct, frozen=True):
    """One attempt to start a container, as one door saw it."""

    door: Door
    requester: Requester
    reference: ImageReference
    job: JobFacts = JobFacts()
    cwd: str = ""
    argv: tuple[str, ...] = ()
    """The words that were recognised as the launch, capped for the record by `audit.record`."""
    content_injected: tuple[str, ...] = ()
    """Overlays and binds over system paths, as typed: what runs may differ from what was judged."""
    reason: str = ""
    """`--sifgate-reason`: recorded, never loosens anything."""
    name: str = ""
    """What the user called the image, where `reference` is a directory or file that a runtime made of it: claimed."""
    word: int = 0
    """Which word of the shim's `arg` is the image; 0: none of them."""
    claimed: dict[str, str] = {}
    """Facts from a peer that is not uid 0: recorded, match no scope."""
    image: ImageFacts = ImageFacts()
    """Of the image file itself; the fields that the policy reads are filled in, no others."""
    grant: Grant | None = None
    """The grant in force for this user at this moment."""
    budget_spent: bool = False
    """Whether the node's fail-open budget was used up when this launch met a failure cause."""
