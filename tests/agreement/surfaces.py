# SPDX-License-Identifier: Apache-2.0
"""The places that judge or tell of a judgement, each driven the way its own program drives it, for one policy case."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sifgate.admission.controller import Review, review
from sifgate.admission.ports import Footing, Ports
from sifgate.agent import answers, judge
from sifgate.agent.budget import Budget
from sifgate.agent.cache import Cache
from sifgate.agent.holder import PolicyHolder
from sifgate.agent.judge import Judge, Verdicts
from sifgate.agent.turns import Promise, drive
from sifgate.audit.record import AuditRecord, compose, encode, record_id, reference_code
from sifgate.cli.main import main
from sifgate.model.decision import Decision
from sifgate.model.image import ImageFacts
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.document import Policy
from sifgate.render.documents import check_document
from sifgate.render.notice import notice
from sifgate.verdict import digest
from sifgate.whatif.cases import Case
from sifgate.whatif.launches import Intake
from sifgate.whatif.replay import Replay, Replayed
from sifgate.whatif.simulate import Question, simulate
from sifgate.whatif.tally import Tally


def addressed(standing: Standing) -> Standing:
    """Return a standing whose verdict has its own digest, as one that came from the server."""
    if standing.verdict is None:
        return standing
    return msgspec.structs.replace(standing, digest=digest.digest(digest.canonical(standing.verdict)))


class World:
    """What a review needs beside the judge: an image that is known, described as the case says."""

    pulls = False

    def __init__(self, footing: Footing, facts: ImageFacts) -> None:
        self._footing = footing
        self._facts = facts

    def open(self, reference: object, cwd: str) -> Promise[int]:
        """See the port `Shim`."""
        del reference, cwd
        return Promise.kept(-1)

    def pull(self, reference: object, word: int) -> Promise[int]:
        """See the port `Shim`."""
        raise NotImplementedError((reference, word))

    def told(self, launch: LaunchEvent) -> None:
        """See the port `Past`: no other door has met it."""
        del launch

    def recall(self, descriptor: int) -> Footing:
        """See the port `Images`."""
        del descriptor
        return self._footing

    def find_out(self, descriptor: int, launch: LaunchEvent, patience: float) -> Promise[Footing]:
        """See the port `Images`."""
        raise NotImplementedError((descriptor, launch, patience))

    def describe(self, descriptor: int, launch: LaunchEvent, patience: float) -> Promise[ImageFacts]:
        """See the port `Images`."""
        del descriptor, launch, patience
        return Promise.kept(self._facts)

    def take(self, uid: int, path: str) -> bool:
        """See the port `Passes`."""
        del uid, path
        return True

    def keep_first(self, launch: LaunchEvent, footing: Footing, decision: Decision) -> Promise[Decision]:
        """See the port `Steps`."""
        del launch, footing
        return Promise.kept(decision)


def gate(policy: Policy, case: Case, directory: Path, patch: pytest.MonkeyPatch) -> Review:
    """Return what the agent's own judge says of the launch, at the moment of the case."""
    holder = PolicyHolder(directory / "policy.yaml", directory / "posture")
    holder.policy, holder.loaded_once = policy, True
    cache_file = Cache(directory / "verdicts.sqlite", boot="agreement", limit_bytes=1 << 24)
    verdicts = Verdicts(cache_file)
    standing = addressed(case.standing)
    if standing.verdict is not None:
        verdicts.put(standing.digest, standing.verdict)
    at = case.now.timestamp()
    patch.setattr(judge, "moment", lambda: at)
    budget = Budget()
    if case.launch.budget_spent and policy.fail_open_budget is not None:
        for _ in range(policy.fail_open_budget.per_hour):
            budget.count(at)
    own = Judge(holder, verdicts, lambda work: Promise.kept(work()), budget=budget)
    world: Any = World(_footing(standing), case.launch.image)
    blank = msgspec.structs.replace(case.launch, image=ImageFacts(), budget_spent=False)
    found: list[Review] = []
    errors: list[Exception] = []
    ports = Ports(world, world, own, world, world, world)
    drive(review(blank, ports, patience=0.0), found.append, errors.append)
    cache_file.close()
    assert not errors, errors
    return found[0]


def record_of(found: Review, at: float) -> AuditRecord:
    """Return the record that the agent writes of a review."""
    return compose(
        record_id(at, b"\0\0\0\1\2\3"),
        now=at,
        node="n1",
        launch=found.launch,
        decision=found.decision,
        stand=answers._stand(found.footing),
    )


def report(found: Review, record: AuditRecord, standing: Standing) -> dict[str, Any]:
    """Return what `sifgate check --format json` prints of it."""
    code = reference_code(record.id)
    text = notice(found.decision, standing, found.launch, code)
    return check_document(record.image, found.decision.action, text, code, record)


def simulated(policy: Policy, record: AuditRecord, standing: Standing) -> Tally:
    """Return what a simulation of the same policy counts over this one record."""
    rows = Intake().rows([encode(record)])
    return simulate(Question(policy), rows, lambda _: standing.verdict, lambda _: None)


def replayed(policy: Policy, record: AuditRecord, standing: Standing) -> Replayed:
    """Return what a replay says of this one record."""
    return Replay(lambda _: policy, lambda _: standing.verdict).run([encode(record)])


@cache
def of_command_line(directory: Path) -> frozenset[str]:
    """Return the names of the cases (`file: name`) that `sifgate policy test` finds otherwise than expected."""
    output = io.StringIO()
    with redirect_stdout(output):
        main(["policy", "test", str(directory), "--format", "json"])
    document = json.loads(output.getvalue())
    return frozenset(
        f"{Path(each['place']).name.split(':')[0]}: {each['name']}" for each in document["failed"]
    )


def _footing(standing: Standing) -> Footing:
    return Footing(
        state=standing.state,
        cause=standing.cause,
        unscannable=standing.unscannable,
        detail=standing.detail,
        fingerprint=standing.fingerprint,
        digest=standing.digest,
        generation="" if standing.verdict is None else standing.verdict.generation.id,
    )
