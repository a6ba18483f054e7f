# SPDX-License-Identifier: Apache-2.0
"""The use case with ports that a test steers: order of what is asked, and what each answer leads to."""

from __future__ import annotations

import msgspec
import pytest

from sifgate.admission.controller import Review, review
from sifgate.admission.ports import Case, Footing, Ports, Told
from sifgate.agent.turns import Promise, drive
from sifgate.errors import Unresolved
from sifgate.model.decision import Action, Decision
from sifgate.model.image import ImageFacts, ImageReference, ReferenceKind
from sifgate.model.launch import Door, Grant, JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import ScanState

KNOWN = Footing(state=ScanState.KNOWN, fingerprint="ab" * 32, digest="sha256:cd")
IMAGE = ImageReference("x.sif", ReferenceKind.PATH, "/home/alice/x.sif")
LAUNCH = LaunchEvent(Door.SPANK, Requester(1000, trusted=True), IMAGE, JobFacts(job_id=1, step_id=0))


class World:
    """All ports at once, and a diary of what was asked of them."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.openable = True
        self.known: Footing | None = KNOWN
        self.found = KNOWN
        self.action = Action.ALLOW
        self.kept: Decision | None = None
        self.passes_left = 1
        self.scan_wait = 10.0
        self.pulls = False
        self.judged_when_pulled = False
        self.before: Told | None = None
        self.facts: ImageFacts | None = None
        self.grant: Grant | None = None
        self.judged: tuple[LaunchEvent, float] | None = None
        self.policy_digest = "sha256:policy"

    @property
    def ports(self) -> Ports:
        """Return the ports."""
        return Ports(self, self, self, self, self, self, self.judged_when_pulled)

    def open(self, reference: ImageReference, cwd: str) -> Promise[int]:
        """See the port `Shim`."""
        del cwd
        self.diary.append(f"open {reference.path}")
        promise: Promise[int] = Promise()
        if self.openable:
            promise.keep(7)
        else:
            promise.fail(Unresolved("cannot be opened"))
        return promise

    def pull(self, reference: ImageReference, word: int) -> Promise[int]:
        """See the port `Shim`."""
        self.diary.append(f"pull {reference.text} {word}")
        return Promise.kept(8)

    def told(self, launch: LaunchEvent) -> Told | None:
        """See the port `Past`."""
        del launch
        return self.before

    def recall(self, descriptor: int) -> Footing | None:
        """See the port `Images`."""
        self.diary.append(f"recall {descriptor}")
        return self.known

    def find_out(self, descriptor: int, launch: LaunchEvent, patience: float) -> Promise[Footing]:
        """See the port `Images`."""
        del launch
        self.diary.append(f"find_out {descriptor} {patience:g}")
        return Promise.kept(self.found)

    def describe(self, descriptor: int, launch: LaunchEvent, patience: float) -> Promise[ImageFacts] | None:
        """See the port `Images`."""
        del launch, patience
        if self.facts is None:
            return None
        self.diary.append(f"describe {descriptor}")
        return Promise.kept(self.facts)

    def prepare(self, footing: Footing, launch: LaunchEvent) -> Case:
        """See the port `Judge`."""
        return Case(footing, msgspec.structs.replace(launch, grant=self.grant), 1_700_000_000.123)

    def decide(self, footing: Footing, launch: LaunchEvent, at: float) -> Promise[Decision]:
        """See the port `Judge`."""
        self.judged = (launch, at)
        self.diary.append(f"decide {footing.state.value if footing.state else footing.cause}")
        return Promise.kept(Decision(self.action, self.action))

    def take(self, uid: int, path: str) -> bool:
        """See the port `Passes`."""
        self.diary.append(f"take {uid} {path}")
        self.passes_left -= 1
        return self.passes_left >= 0

    def keep_first(self, launch: LaunchEvent, footing: Footing, decision: Decision) -> Promise[Decision]:
        """See the port `Steps`."""
        del launch, footing
        self.diary.append("keep_first")
        return Promise.kept(self.kept or decision)


def run(world: World, launch: LaunchEvent = LAUNCH) -> Review:
    """Return the review of a launch."""
    found: list[Review] = []
    errors: list[Exception] = []
    drive(review(launch, world.ports, patience=5.0), found.append, errors.append)
    assert not errors
    return found[0]


def test_known_image_is_judged_without_finding_out() -> None:
    """open, recall, decide: nothing else on the warm path."""
    world = World()
    assert run(world).decision.action is Action.ALLOW
    assert world.diary == ["open /home/alice/x.sif", "recall 7", "decide known"]


def test_unknown_image_is_found_out_with_the_patience_given() -> None:
    """What nobody remembers is looked into, no longer than the door can wait."""
    world = World()
    world.known = None
    run(world)
    assert world.diary[2:] == ["find_out 7 5", "decide known"]


def test_image_that_cannot_be_opened_is_unresolved() -> None:
    """A path that the user cannot open is a state, not an error."""
    world = World()
    world.openable = False
    assert run(world).footing.state is ScanState.UNRESOLVED
    assert world.diary == ["open /home/alice/x.sif", "decide unresolved"]


@pytest.mark.parametrize("kind", [ReferenceKind.TRANSPORT, ReferenceKind.UNKNOWN])
def test_what_is_no_file_is_unresolved_and_never_opened(kind: ReferenceKind) -> None:
    """`docker://…` and words nobody understands are judged as unresolved."""
    world = World()
    launch = msgspec.structs.replace(LAUNCH, reference=ImageReference("docker://x", kind))
    assert run(world, launch).footing.state is ScanState.UNRESOLVED
    assert world.diary == ["decide unresolved"]


def test_running_instance_was_judged_before() -> None:
    """`instance://x` opens nothing, is judged by nobody, and leaves a record with its reason."""
    world = World()
    launch = msgspec.structs.replace(LAUNCH, reference=ImageReference("instance://x", ReferenceKind.INSTANCE))
    decision = run(world, launch).decision
    assert (decision.action, decision.reasons[0].rule) == (Action.LOG, "instance")
    assert world.diary == []


def test_pending_image_uses_passes_up() -> None:
    """The same image pending again is `pending_exhausted` once the passes are gone."""
    world = World()
    world.known = Footing(state=ScanState.PENDING)
    assert run(world).footing.state is ScanState.PENDING
    assert run(world).footing.state is ScanState.PENDING_EXHAUSTED


def test_step_on_many_nodes_acts_on_the_decision_kept_first() -> None:
    """Another node's decision wins, and this node's own stays visible."""
    world = World()
    world.kept = Decision(Action.WARN, Action.WARN)
    launch = msgspec.structs.replace(LAUNCH, job=JobFacts(job_id=1, step_id=0, nodes=2))
    found = run(world, launch)
    assert (found.decision.action, found.own.action) == (Action.WARN, Action.ALLOW)


def test_step_on_one_node_is_nobody_elses_business() -> None:
    """Other nodes are asked only where there are any; the refusal on its own is the shim's to carry out."""
    world = World()
    world.action = Action.BLOCK
    run(world, msgspec.structs.replace(LAUNCH, job=JobFacts(job_id=1, step_id=0, nodes=2)))
    assert world.diary[-1] == "keep_first"
    world.diary.clear()
    run(world)
    assert "keep_first" not in world.diary


REMOTE = msgspec.structs.replace(
    LAUNCH, reference=ImageReference("docker://debian:12", ReferenceKind.TRANSPORT), word=2
)


def test_what_is_no_file_is_pulled_where_the_shim_can() -> None:
    """The real runtime makes a file of it, and that file is judged like any other."""
    world = World()
    world.pulls = True
    assert run(world, REMOTE).footing is KNOWN
    assert world.diary == ["pull docker://debian:12 2", "recall 8", "decide known"]


@pytest.mark.parametrize(("pulls", "word"), [(0, 2), (1, 0)])
def test_what_cannot_be_pulled_is_unresolved(pulls: int, word: int) -> None:
    """A shim that cannot pull, or an image that is no word of the command, leaves it unresolved."""
    world = World()
    world.pulls = bool(pulls)
    found = run(world, msgspec.structs.replace(REMOTE, word=word))
    assert found.footing.state is ScanState.UNRESOLVED
    assert world.diary == ["decide unresolved"]


def test_what_the_launch_was_told_before_stands() -> None:
    """A launch that another door has asked about is neither looked into nor decided again."""
    world = World()
    decision = Decision(Action.BLOCK, Action.BLOCK)
    world.before = Told(KNOWN, decision, "7QX4-19")
    found = run(world)
    assert (found.decision, found.footing, found.told) == (decision, KNOWN, "7QX4-19")
    assert world.diary == ["open /home/alice/x.sif"]


@pytest.mark.parametrize(("elsewhere", "state"), [(False, ScanState.UNRESOLVED), (True, None)])
def test_what_is_no_file_yet_is_left_to_the_runtimes_door(elsewhere: bool, state: ScanState | None) -> None:  # noqa: FBT001 - a case
    """Where the site says that another door meets the launch after the pull, it is recorded here and judged there."""
    world = World()
    world.judged_when_pulled = elsewhere
    reference = ImageReference("docker://alpine", ReferenceKind.TRANSPORT)
    found = run(world, msgspec.structs.replace(LAUNCH, reference=reference))
    assert found.footing.state is state
    if elsewhere:
        assert (found.decision.action, found.decision.reasons[0].rule) == (Action.LOG, "transport")
        assert world.diary == []


def test_what_the_policy_reads_of_the_file_is_judged_and_kept() -> None:
    """Facts and grant are part of the launch that is decided and recorded; the moment is the one that judged."""
    world = World()
    world.facts = ImageFacts(owner="root", signers=("AB" * 20,))
    world.grant = Grant("g1", 1000, "disk full", "root", "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z")
    found = run(world)
    assert world.diary == ["open /home/alice/x.sif", "describe 7", "recall 7", "decide known"]
    assert found.launch.image == world.facts
    assert found.launch.grant == world.grant
    assert world.judged == (found.launch, found.at)
    assert found.asked == LAUNCH


def test_nothing_is_asked_of_a_file_that_the_policy_reads_nothing_of() -> None:
    """The launch stays the very value that it was, but for what the agent adds."""
    assert run(World()).launch.image == ImageFacts()
