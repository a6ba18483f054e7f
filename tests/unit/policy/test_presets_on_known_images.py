# SPDX-License-Identifier: Apache-2.0
"""The presets on six images of arXiv 2010.13970, beside the rules that sites think of first; the table of the docs."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from testbed.known_images import RELEASES, paper_standing
from tests.unit.policy.builders import ROOT, launch, policy

from sifgate.model.decision import Action, Decision
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import load_policy
from sifgate.policy.preset import PRESETS, preset

AT = datetime(2020, 9, 1, tzinfo=timezone.utc)
"""Eleven weeks after the advisories: every grace of the presets is over."""
NAIVE: dict[str, dict[str, object]] = {
    "any medium or worse": {"severity": ">= medium"},
    "any high or worse": {"severity": ">= high"},
    "any high or worse with a fix": {"severity": ">= high", "fixable": True},
    "more than 10 high or worse": {"count": {"severity": ">= high", "over": 10}},
    "any critical": {"severity": ">= critical"},
    "known to be exploited": {"kev": True},
    "known to be exploited, or critical, with a fix": {
        "any": [{"kev": True}, {"severity": ">= critical"}],
        "fixable": True,
    },
}
BEGIN, END = "<!-- presets:begin -->\n", "<!-- presets:end -->\n"


def naive(when: dict[str, object]) -> Policy:
    """Return a policy of one rule that refuses."""
    return policy(
        f"mode: enforce\nrules:\n  - {{id: rule, when: {when!r}, action: block}}\n".replace("True", "true")
    )


def shipped(name: str, directory: Path) -> Policy:
    """Return a preset."""
    path = directory / "policy.yaml"
    path.write_text(preset(name))
    return load_policy(path)


def refused(rules: Policy, *, updated: bool) -> list[str]:
    """Return the images that would be refused."""
    return [name for name in RELEASES if decided(rules, name, updated=updated).would_be is Action.BLOCK]


def decided(rules: Policy, name: str, *, updated: bool) -> Decision:
    """Return the decision on an image."""
    return evaluate(rules, paper_standing(name, updated=updated), launch(), AT)


def table(directory: Path) -> str:
    """Return the table of the docs."""
    rows = {f"“{words}” refuses": naive(when) for words, when in NAIVE.items()}
    rows |= {f"preset `{name}`": shipped(name, directory) for name in PRESETS}
    lines = ["| rule | refused as they were | refused after an upgrade of their packages |", "|---|---|---|"]
    for words, rules in rows.items():
        before, after = (len(refused(rules, updated=updated)) for updated in (False, True))
        lines.append(f"| {words} | {before} of {len(RELEASES)} | {after} of {len(RELEASES)} |")
    return "\n".join(lines) + "\n"


def test_any_high_refuses_nearly_everything() -> None:
    """What a study of 38 images showed, 37 of them refused, is so for these six."""
    assert len(refused(naive(NAIVE["any high or worse"]), updated=False)) == 5
    assert len(refused(naive(NAIVE["any medium or worse"]), updated=False)) == 6


def test_balanced_refuses_few_and_none_after_an_upgrade(tmp_path: Path) -> None:
    """At most a fifth of images that nobody has touched, none that was upgraded."""
    rules = shipped("balanced", tmp_path)
    assert len(refused(rules, updated=False)) <= len(RELEASES) / 5
    assert refused(rules, updated=True) == []


def test_strict_refuses_what_an_upgrade_would_mend(tmp_path: Path) -> None:
    """Nearly all as they were, none after an upgrade."""
    rules = shipped("strict", tmp_path)
    assert len(refused(rules, updated=False)) == 5
    assert refused(rules, updated=True) == []


@pytest.mark.parametrize("name", RELEASES)
def test_observe_refuses_and_warns_of_nothing(name: str, tmp_path: Path) -> None:
    """It writes down what there is."""
    decision = decided(shipped("observe", tmp_path), name, updated=False)
    assert decision.would_be is Action.LOG
    assert [reason.rule for reason in decision.reasons] == ["any-finding"]


@pytest.mark.parametrize("name", RELEASES)
def test_an_upgrade_is_what_the_notice_counts_on(name: str, tmp_path: Path) -> None:
    """What a decision says an upgrade would clear is gone after it."""
    rules = shipped("strict", tmp_path)
    before, after = (decided(rules, name, updated=updated) for updated in (False, True))
    assert before.clearable > 0
    assert after.total == before.total - before.clearable


def test_the_docs_show_these_figures(tmp_path: Path) -> None:
    """The table of docs/enforcing.md is the one that comes out here."""
    text = (ROOT / "docs" / "enforcing.md").read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == table(tmp_path)
