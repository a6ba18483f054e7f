# SPDX-License-Identifier: Apache-2.0
"""The three policies that come along: what each asks of the same images, none less than the one before."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from tests.unit.policy.builders import NOON, ROOT, finding, launch, standing

from sifgate import yamlfile
from sifgate.errors import PolicyError
from sifgate.model.decision import Action
from sifgate.model.finding import Severity
from sifgate.model.launch import Door
from sifgate.model.verdict import EndOfLife, Generation, ScanState, Standing
from sifgate.policy.document import Mode, Policy
from sifgate.policy.evaluate import evaluate
from sifgate.policy.preset import PRESETS, preset
from sifgate.policy.read import policy_from

FRESH: dict[str, Any] = {
    "scanned_at": "2026-09-01T00:00:00Z",
    "generation": Generation(advisories="2026-09-01", kev="2026-09-01"),
}
SUPPORTED: dict[str, Any] = {"end_of_life": EndOfLife(eol="2028-08-09"), **FRESH}
OLD, NEW = "2026-01-01", "2026-08-30"
KEV = finding(kev=True, kev_added=OLD)
CRITICAL = finding(severity=Severity.CRITICAL, fix_available=OLD)
IMAGES: dict[str, tuple[Standing, tuple[Action, Action, Action]]] = {
    "clean": (standing(**SUPPORTED), (Action.ALLOW, Action.ALLOW, Action.ALLOW)),
    "exploited, listed long ago": (standing(KEV, **SUPPORTED), (Action.LOG, Action.BLOCK, Action.BLOCK)),
    "exploited, listed last week": (
        standing(finding(kev=True, kev_added=NEW, severity=Severity.LOW), **SUPPORTED),
        (Action.LOG, Action.WARN, Action.WARN),
    ),
    "exploited, no fix": (
        standing(finding(kev=True, kev_added=OLD, fixed_version=""), **SUPPORTED),
        (Action.LOG, Action.LOG, Action.WARN),
    ),
    "critical, fixed long ago": (standing(CRITICAL, **SUPPORTED), (Action.LOG, Action.BLOCK, Action.BLOCK)),
    "critical, fixed last week": (
        standing(finding(severity=Severity.CRITICAL, fix_available=NEW), **SUPPORTED),
        (Action.LOG, Action.WARN, Action.WARN),
    ),
    "critical, fixed nobody knows when": (
        standing(finding(severity=Severity.CRITICAL), **SUPPORTED),
        (Action.LOG, Action.WARN, Action.WARN),
    ),
    "high, fixed long ago": (
        standing(finding(fix_available=OLD), **SUPPORTED),
        (Action.LOG, Action.LOG, Action.BLOCK),
    ),
    "kernel headers": (
        standing(finding(package="linux-libc-dev", source="linux", kev=True), **SUPPORTED),
        (Action.ALLOW, Action.ALLOW, Action.ALLOW),
    ),
    "out of support": (
        standing(end_of_life=EndOfLife(eol="2026-01-01"), **FRESH),
        (Action.LOG, Action.WARN, Action.BLOCK),
    ),
    "not scanned": (Standing(state=ScanState.PENDING), (Action.LOG, Action.LOG, Action.BLOCK)),
    "no advisories": (Standing(state=ScanState.UNSUPPORTED), (Action.LOG, Action.WARN, Action.BLOCK)),
}


def loaded(name: str) -> Policy:
    """Return a preset as a policy."""
    return policy_from([yamlfile.parse(preset(name).encode(), f"{name}.yaml", failure=PolicyError)])


@pytest.mark.parametrize("image", IMAGES)
def test_preset_asks_what_its_comments_say(image: str) -> None:
    """What each of the three would do in mode `enforce`; none asks less than the one before it."""
    known, expected = IMAGES[image]
    asked = [evaluate(loaded(name), known, launch(), NOON).would_be for name in PRESETS]
    assert tuple(asked) == expected
    assert asked == sorted(asked)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_stops_nobody_as_it_comes(name: str) -> None:
    """Mode `audit`, so that it can be installed on any day; nothing is decided for want of a directory."""
    site = loaded(name)
    assert site.stance.mode is Mode.AUDIT
    assert site.metadata.name == name
    assert all(evaluate(site, known, launch(), NOON).action <= Action.LOG for known, _ in IMAGES.values())


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_valid_for_an_editor(name: str) -> None:
    """The published schema has nothing to say about it."""
    schema = json.loads((ROOT / "src/sifgate/policy/schema.json").read_text())
    document = yamlfile.parse(preset(name).encode(), f"{name}.yaml", failure=PolicyError).plain()
    assert not list(Draft202012Validator(schema).iter_errors(document))


def test_another_name_is_no_preset() -> None:
    """A path in place of a name reads no file."""
    for name in ("", "balance", "../presets/strict", "strict.yaml"):
        with pytest.raises(KeyError):
            preset(name)


def test_submission_warns_where_the_launch_refuses() -> None:
    """The image may be rebuilt before the job starts."""
    site = loaded("balanced")
    enforcing = msgspec.structs.replace(site, stance=msgspec.structs.replace(site.stance, mode=Mode.ENFORCE))
    known = standing(KEV, **SUPPORTED)
    assert evaluate(enforcing, known, launch(), NOON).action is Action.BLOCK
    assert evaluate(enforcing, known, launch(door=Door.SUBMIT), NOON).action is Action.WARN
