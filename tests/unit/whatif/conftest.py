# SPDX-License-Identifier: Apache-2.0
"""A node as an agent leaves it behind: audit log and evidence, below a directory."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from tests.unit.policy.builders import NOON, launch, policy

from sifgate.audit.record import Stand, compose, encode
from sifgate.model.launch import JobFacts, LaunchEvent, Requester
from sifgate.model.verdict import Standing
from sifgate.policy.evaluate import evaluate
from sifgate.verdict.digest import canonical, digest
from sifgate.whatif.kept import Kept

WATCHING = policy("mode: audit\nrules: [{id: any, when: {count: {over: 0}}, action: log}]")


class Node:
    """The files of one node."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log" / "audit.jsonl"
        self.evidence = root / "state/agent/evidence"
        for directory in (self.log.parent, self.evidence / "verdicts", root / "etc", root / "run"):
            directory.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count()

    @property
    def kept(self) -> Kept:
        """Return the verdicts that are kept."""
        return Kept(self.evidence)

    def keep(self, standing: Standing) -> Standing:
        """Keep the verdict of a standing; return the standing with its real digest."""
        assert standing.verdict is not None
        body = canonical(standing.verdict)
        name = digest(body).removeprefix("sha256:")
        (self.evidence / "verdicts" / f"{name}.json.zst").write_bytes(zstandard.compress(body))
        return msgspec.structs.replace(standing, digest=f"sha256:{name}")

    def record(self, standing: Standing, event: LaunchEvent, *, outcome: str = "decided") -> None:
        """Write what the agent would have written about a launch under a policy that only watches."""
        stand = Stand(
            state=standing.state.value if standing.state else "",
            cause=standing.cause.value if standing.cause else "",
            fingerprint=standing.fingerprint,
            verdict=standing.digest,
        )
        number = next(self._numbers)
        record = compose(
            f"{number:026x}",
            now=NOON.timestamp() + number,
            node="n1",
            launch=event,
            decision=evaluate(WATCHING, standing, event, NOON),
            stand=stand,
            outcome=outcome,
        )
        with self.log.open("ab") as file:
            file.write(encode(record))


def image(standing: Standing, name: str) -> Standing:
    """Return the same standing for another image."""
    assert standing.verdict is not None
    fingerprint = hashlib.sha256(name.encode()).hexdigest()
    verdict = msgspec.structs.replace(standing.verdict, fingerprint=fingerprint)
    return msgspec.structs.replace(standing, verdict=verdict, fingerprint=fingerprint)


def by(user: str, **fields: Any) -> LaunchEvent:
    """Return a launch of a user's own copy of an image."""
    event = launch(**fields)
    return msgspec.structs.replace(
        event,
        requester=Requester(uid=2000, user=user, groups=(user,), trusted=True),
        reference=msgspec.structs.replace(event.reference, path=f"/scratch/{user}/sci.sif"),
        job=JobFacts(job_id=7, step_id=0, partition="batch", account=f"of-{user}"),
    )


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Return a node without records."""
    return Node(tmp_path / "node")


Quiet = Callable[..., None]


@pytest.fixture
def quiet() -> Quiet:
    """Return a progress that nobody sees."""
    return lambda *_words: None
