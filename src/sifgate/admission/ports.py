# SPDX-License-Identifier: Apache-2.0
"""What a review needs from the outside, as ports; the agent's adapters and the tests' fakes implement them.

A port that may have to wait returns an awaitable. No port raises for what can happen to an image or to the
infrastructure: these are standings.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

import msgspec

from sifgate.model.decision import Decision
from sifgate.model.image import ImageFacts, ImageReference
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import FailureCause, ScanState, Standing, UnscannableCause


class Footing(msgspec.Struct, frozen=True):
    """A standing without its findings: light enough to keep for every image that a node has ever seen."""

    state: ScanState | None = None
    cause: FailureCause | None = None
    unscannable: UnscannableCause | None = None
    detail: str = ""
    fingerprint: str = ""
    digest: str = ""
    """Digest of the verdict; empty: there is none, the rest says all."""
    generation: str = ""

    @property
    def standing(self) -> Standing:
        """Return what the policy judges where no verdict is behind it."""
        return Standing(
            state=self.state,
            cause=self.cause,
            unscannable=self.unscannable,
            detail=self.detail,
            fingerprint=self.fingerprint,
        )


class Told(msgspec.Struct, frozen=True):
    """What a launch was told at another door already."""

    footing: Footing
    decision: Decision
    reference: str
    """Code of its record."""


class Case(NamedTuple):
    """All that a decision is made of, beside the policy."""

    footing: Footing
    launch: LaunchEvent
    at: float
    """The moment: seconds since 1970, whole milliseconds."""


class Shim(Protocol):
    """The program at the door; it opens files with the user's ids."""

    @property
    def pulls(self) -> bool:
        """Whether it can have the real runtime make a local file of what is none."""

    def open(self, reference: ImageReference, cwd: str) -> Awaitable[int]:
        """Return a descriptor of the image, the caller's to close; raises Unresolved where it cannot be opened."""

    def pull(self, reference: ImageReference, word: int) -> Awaitable[int]:
        """Return a descriptor of the file that the runtime made of word `word`, as `open` does; may take an hour."""


class Images(Protocol):
    """What this node knows of images."""

    def recall(self, descriptor: int) -> Footing | None:
        """Return what is known of exactly this file content, without waiting; None: unknown."""

    def find_out(self, descriptor: int, launch: LaunchEvent, patience: float) -> Awaitable[Footing]:
        """Return what can be learnt within `patience` seconds: reads the image, asks the server; then `pending`.

        Takes the descriptor over. One scan per image however many ask; it goes on after all of them gave up.
        """

    def describe(self, descriptor: int, launch: LaunchEvent, patience: float) -> Awaitable[ImageFacts] | None:
        """Begin to find out what the policy reads of the image file itself; None where it reads nothing.

        What is not known after `patience` seconds is left empty; it is found out for the next launch.
        """


class Judge(Protocol):
    """The policy in force."""

    @property
    def scan_wait(self) -> float:
        """Seconds that a launch waits for a scan."""

    @property
    def policy_digest(self) -> str:
        """Digest of the policy in force."""

    def prepare(self, footing: Footing, launch: LaunchEvent) -> Case:
        """Return what is decided, complete: with the grant and the state of the budget at this moment."""

    def decide(self, footing: Footing, launch: LaunchEvent, at: float) -> Awaitable[Decision]:
        """Return the decision for this launch at that moment."""


class Passes(Protocol):
    """How often a launch may pass unscanned."""

    def take(self, uid: int, path: str) -> bool:
        """Return whether this user may pass this path as pending once more today; counts it."""


class Steps(Protocol):
    """One answer for all nodes of a step."""

    def keep_first(self, launch: LaunchEvent, footing: Footing, decision: Decision) -> Awaitable[Decision]:
        """Return the decision that the step's first node made, this one if it is the first or nobody can be asked."""


class Past(Protocol):
    """One launch, one decision, however many doors it meets."""

    def told(self, launch: LaunchEvent) -> Told | None:
        """Return what the process was told of the image that the shim has just opened; None: nothing that counts."""


class Ports(msgspec.Struct, frozen=True):
    """The ports of one review."""

    shim: Shim
    images: Images
    judge: Judge
    passes: Passes
    steps: Steps
    past: Past
    judged_when_pulled: bool = False
    """Whether another door of this node meets the launch once its runtime has pulled what is no file yet."""
