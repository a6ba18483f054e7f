# SPDX-License-Identifier: Apache-2.0
"""Records as people read them."""

from __future__ import annotations

import io

import msgspec

from sifgate.audit.record import AuditRecord, ReasonLine
from sifgate.model.decision import Action, Aside
from sifgate.model.launch import Grant
from sifgate.render.decisions import explanation, print_records, verdict_line

RECORD = AuditRecord(
    id="0660dcdf68380e2dae0d06c720",
    time="2026-11-22T12:46:57.484Z",
    node="n1",
    door="spank",
    action="log",
    reference="7QX4-19",
    would_be="block",
    mode="audit",
    reasons=(
        ReasonLine("kev-fixable", "block", "2 KEV", 7, ("CVE-1 git 1\x1b[31m", "CVE-2 libfreetype6 2")),
    ),
    state="unscannable",
    unscannable="encrypted",
    detail="LUKS2",
    path="/scratch/alice/x\x1b.sif",
    fingerprint="9f2c41a7" * 8,
    uid=1000,
    user="alice",
    trusted=True,
    job=7,
    step=0,
    argv=("apptainer", "exec", "x.sif"),
    content_injected=("--bind /x:/usr",),
    user_reason="paper deadline",
    suppressed=3,
)


def test_the_page_of_a_record_holds_what_was_asked_known_and_said() -> None:
    """Everything needed to understand a refusal, control characters made visible."""
    page = explanation(RECORD)
    for text in (
        "7QX4-19", "log (mode audit, in mode enforce: block)", "alice (1000), job 7 step 0",
        "/scratch/alice/x\\x1b.sif",
        "unscannable (encrypted): LUKS2", "apptainer exec x.sif", "--bind /x:/usr", "paper deadline",
        "block: 2 KEV (rule kev-fixable)", "CVE-1 git 1\\x1b[31m", "and 5 more", "3 findings are suppressed",
        "print     9f2c41a7",
    ):  # fmt: skip
        assert text in page
    assert "\x1b" not in page


def test_the_page_says_what_else_had_a_part_in_it() -> None:
    """Scope, trusted store, grant, spent budget, missing data, alarms, what was set aside, and clocks."""
    grant = Grant("g7", 1000, "cluster\x1bdown", "bob", "2026-11-22T08:00:00Z", "2026-11-22T12:00:00Z")
    reason = ReasonLine("kev", "warn", "known to be exploited", 1, (), "refused from 2026-12-01")
    page = explanation(
        msgspec.structs.replace(
            RECORD,
            reasons=(reason,),
            scope="bio",
            trust="site-store",
            grant=grant,
            granted="g7",
            budget_spent=True,
            undecided=("epss",),
            alarms=("break_glass",),
            aside=(Aside("exception", "EX-1", 4, "2027-01-01", "vendor\x1bsays no"),),
        )
    )
    for text in (
        "scope     bio", "by store site-store", "g7 by bob until 2026-11-22T12:00:00Z: cluster\\x1bdown",
        "(refused without it)", "the fail-open budget was used up", "data for rules epss", "alarm     break_glass",
        "4 not counted: exception EX-1 until 2027-01-01: vendor\\x1bsays no", "refused from 2026-12-01",
    ):  # fmt: skip
        assert text in page
    assert "\x1b" not in page


def test_a_line_says_what_enforcing_would_have_done() -> None:
    """In mode audit a user learns that the day will come."""
    line = verdict_line("x.sif", Action.LOG, RECORD, "7QX4-19")
    assert line == (
        "x.sif: allowed, and logged; state unscannable (encrypted);"
        " would be block in mode enforce (mode is audit); ref 7QX4-19"
    )


def test_records_are_a_table_with_their_outcome() -> None:
    """A late block verdict stands out from a decision."""
    late = AuditRecord(id="x", time="t", node="n", door="d", action="block", outcome="would_have_blocked")
    stream = io.StringIO()
    print_records([RECORD, late], stream)
    header, first, second = stream.getvalue().splitlines()
    assert header.split()[:3] == ["TIME", "REF", "ACTION"]
    assert "alice" in first
    assert "block (would_have_blocked)" in second
