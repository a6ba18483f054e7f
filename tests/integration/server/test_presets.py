# SPDX-License-Identifier: Apache-2.0
"""The presets on a real Debian 11 image, scanned by a real Clair, with and without the kernel's headers."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest
from testbed import filetrees
from testbed.known_images import BULLSEYE_HEADERS
from tests.integration.server.site import Site, slim_of
from tests.integration.server.test_known_answers import NOT_IN_THE_IMAGE

from sifgate.model.decision import Action, Decision
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, LaunchEvent, Requester
from sifgate.model.verdict import ScanState, Standing, Verdict
from sifgate.policy.document import Policy
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import load_policy
from sifgate.policy.preset import PRESETS, preset

pytestmark = pytest.mark.engine
LAUNCH = LaunchEvent(
    Door.SPANK,
    Requester(1000, user="alice", trusted=True),
    ImageReference("sci.sif", ReferenceKind.PATH, "/s/sci.sif"),
)
SUPPORTED = datetime(2026, 8, 31, 12, tzinfo=timezone.utc)
ENDED = datetime(2026, 9, 1, tzinfo=timezone.utc)
LATER = datetime(2036, 9, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def verdicts(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Verdict]:
    """Return the verdict without and with `linux-libc-dev`."""
    listed = [each for each in filetrees.debian_packages("bullseye-sci") if each.name not in NOT_IN_THE_IMAGE]
    return {
        headers: site.judged(
            slim_of(
                filetrees.debian_tree((*listed, *[BULLSEYE_HEADERS] * headers), "11", "bullseye"),
                tmp_path_factory.mktemp("presets"),
            )
        )
        for headers in (False, True)
    }


def decided(policy: Policy, verdict: Verdict, now: datetime) -> Decision:
    """Return the decision on a verdict."""
    return evaluate(policy, Standing(state=ScanState.KNOWN, verdict=verdict), LAUNCH, now)


def loaded(name: str, directory: Path) -> Policy:
    """Return a preset."""
    path = directory / "policy.yaml"
    path.write_text(preset(name))
    return load_policy(path)


def test_headers_are_the_noise(verdicts: dict[bool, Verdict]) -> None:
    """One package more: more than two thousand vulnerabilities more, all of a kernel that no container runs."""
    plain, noisy = (
        {finding.vulnerability for finding in verdicts[headers].findings} for headers in (False, True)
    )
    assert len(plain) == 371
    assert len(noisy) - len(plain) > 2000
    assert {finding.package for finding in verdicts[True].findings if finding.vulnerability not in plain} == {
        "linux-libc-dev"
    }


@pytest.mark.parametrize("name", PRESETS)
def test_headers_change_no_decision(verdicts: dict[bool, Verdict], tmp_path: Path, name: str) -> None:
    """They are listed, and nothing else differs."""
    policy = loaded(name, tmp_path)
    plain, noisy = (decided(policy, verdicts[headers], SUPPORTED) for headers in (False, True))
    assert noisy.suppressed > 2000
    assert plain == msgspec.structs.replace(noisy, suppressed=0, aside=())


@pytest.mark.parametrize(
    ("name", "would_be", "rules"),
    [
        ("observe", Action.LOG, ["kev-fixable", "any-finding"]),
        ("balanced", Action.BLOCK, ["kev-fixable", "kev-in-grace", "any-finding"]),
        ("strict", Action.BLOCK, ["kev-fixable", "in-grace", "eol-soon", "unrated-fixable", "any-finding"]),
    ],
)
def test_two_exploited_ones_are_what_counts(
    verdicts: dict[bool, Verdict], tmp_path: Path, name: str, would_be: Action, rules: list[str]
) -> None:
    """371 vulnerabilities, none of them rated by Debian's data: two that are exploited and have a fix decide."""
    decision = decided(loaded(name, tmp_path), verdicts[False], SUPPORTED)
    assert (decision.action, decision.would_be) == (Action.LOG, would_be)
    assert [reason.rule for reason in decision.reasons] == rules
    assert next(reason for reason in decision.reasons if reason.rule == "kev-fixable").count == 2
    assert (decision.total, decision.clearable) == (371, 371)


def test_what_nobody_has_rated_refuses_nothing_when_all_graces_are_over(
    verdicts: dict[bool, Verdict], tmp_path: Path
) -> None:
    """Debian's data rate none of the 371; years after their fixes two that are exploited still decide alone."""
    decision = decided(loaded("balanced", tmp_path), verdicts[False], LATER)
    refusing = {reason.rule: reason.count for reason in decision.reasons if reason.action is Action.BLOCK}
    assert refusing == {"kev-fixable": 2}
    assert "critical-fixable" in decision.undecided


def test_end_of_support_is_a_clock(verdicts: dict[bool, Verdict], tmp_path: Path) -> None:
    """At midnight after the last day of long-term support the same verdict is judged otherwise."""
    policy = loaded("strict", tmp_path)
    before, after = (decided(policy, verdicts[False], now) for now in (SUPPORTED, ENDED))
    assert before.valid_until == "2026-09-01T00:00:00Z"
    assert {reason.rule for reason in after.reasons} - {reason.rule for reason in before.reasons} == {
        "eol-distro"
    }


def test_without_the_filter_headers_would_decide(verdicts: dict[bool, Verdict], tmp_path: Path) -> None:
    """A site that counts them refuses for flaws of a kernel that is not there."""
    path = tmp_path / "policy.yaml"
    path.write_text(preset("balanced").replace("kernel_headers: true", "kernel_headers: false"))
    decision = decided(load_policy(path), verdicts[True], SUPPORTED)
    exploited = next(reason for reason in decision.reasons if reason.rule == "kev-fixable")
    assert exploited.count > 2
