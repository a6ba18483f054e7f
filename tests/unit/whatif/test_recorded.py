# SPDX-License-Identifier: Apache-2.0
"""What a line of the audit log gives back is what the evaluator saw."""

from __future__ import annotations

import msgspec
import pytest
from tests.unit.policy.builders import NOON, finding, launch, policy, standing

from sifgate.audit.record import AuditRecord, Stand, compose, decode, encode
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import FailureCause, ScanState, Standing, UnscannableCause
from sifgate.policy.evaluate import evaluate
from sifgate.whatif.recorded import launch_of, standing_of

POLICY = policy("""\
mode: enforce
rules: [{id: high, when: {severity: ">= high"}, action: block}]
scopes: [{id: bio, match: {account: bio01, partition: batch, user: alice, group: bio}, set: {mode: warn}}]
""")


def recorded(event: LaunchEvent, judged: Standing) -> AuditRecord:
    """Return the record of a launch, written and read back."""
    state, cause, why = judged.state, judged.cause, judged.unscannable
    stand = Stand(
        state=state.value if state else "",
        cause=cause.value if cause else "",
        unscannable=why.value if why else "",
        detail=judged.detail,
        fingerprint=judged.fingerprint,
        verdict=judged.digest,
    )
    decision = evaluate(POLICY, judged, event, NOON)
    return decode(
        encode(
            compose("0" * 26, now=NOON.timestamp(), node="n1", launch=event, decision=decision, stand=stand)
        )
    )


def test_a_launch_comes_back_as_it_was_judged() -> None:
    """Every attribute that any policy may read survives the record."""
    event = launch(content_injected=("--overlay o.img",), name="sci", argv=("apptainer", "exec", "sci.sif"))
    assert launch_of(recorded(event, standing(finding()))) == event


@pytest.mark.parametrize(
    "judged",
    [
        Standing(state=ScanState.PENDING, detail="in the queue", fingerprint="a" * 64),
        Standing(state=ScanState.UNSCANNABLE, unscannable=UnscannableCause.ENCRYPTED),
        Standing(cause=FailureCause.SERVER_UNREACHABLE, detail="no route"),
        standing(finding(), state=ScanState.STALE),
    ],
)
def test_a_standing_comes_back_as_it_was_judged(judged: Standing) -> None:
    """State, cause, detail and verdict."""
    assert (
        standing_of(recorded(launch(), judged), lambda digest: judged.verdict if digest else None) == judged
    )


def test_a_verdict_that_is_gone_is_not_taken_for_a_clean_one() -> None:
    """Without the verdict there is no standing."""
    assert standing_of(recorded(launch(), standing(finding())), lambda _: None) is None


@pytest.mark.parametrize("field", ["door", "image_kind", "state", "cause", "unscannable"])
def test_a_word_of_another_version_is_an_error(field: str) -> None:
    """A record that cannot be understood is not half understood."""
    record = msgspec.structs.replace(
        recorded(launch(), Standing(state=ScanState.PENDING)), **{field: "tomorrow"}
    )
    with pytest.raises(ValueError, match="tomorrow"):
        (launch_of(record), standing_of(record, lambda _: None))
