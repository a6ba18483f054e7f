# SPDX-License-Identifier: Apache-2.0
"""What the keys beside rules and scopes refuse, and how files are merged over each other."""

from __future__ import annotations

from datetime import date

import pytest
from tests.unit.policy.builders import policy

from sifgate.errors import PolicyError
from sifgate.model.decision import Action
from sifgate.model.finding import Severity
from sifgate.policy.grace import Clock, Grace
from sifgate.policy.points import Point
from sifgate.policy.schedule import Schedule, Step
from sifgate.policy.settings import BreakGlass, FailOpenBudget, Limit, Writers

RULE = "rules: [{id: kev, when: {kev: true}, action: block}]\n"
KEY = "1234567890ABCDEF1234567890ABCDEF12345678"


def rule(rest: str) -> str:
    """Return a policy of one rule about exploited vulnerabilities."""
    return f"mode: audit\nrules: [{{id: a, when: {{kev: true}}, {rest}}}]\n"


REFUSED = {
    "dates without now": (rule("action: {2026-10-01: warn}"), '3:44: rules[0].action: the key "now" is missing'),
    "now without dates": (rule("action: {now: warn}"), "1 to 20 dates, got 0"),
    "a word for a date": (rule("action: {now: log, tomorrow: warn}"), 'got "tomorrow"'),
    "no such date": (rule("action: {now: log, 2026-02-30: warn}"), 'got "2026-02-30"'),
    "a time for a date": (rule("action: {now: log, 2026-10-01T00:00:00: warn}"), "a date as YYYY-MM-DD"),
    "the same date twice": (rule('action: {now: log, 2026-10-01: warn, "2026-10-01": block}'), "stands twice"),
    "an action that weakens by date": (
        rule("action: {now: log, 2026-12-01: warn, 2026-10-01: block}"),
        '"warn" is weaker than "block" before it',
    ),
    "a first date weaker than now": (rule("action: {now: block, 2026-12-01: warn}"), "never weakens by date"),
    "an unknown clock": (rule("grace: {after: discovered, days: 3}, action: log"), "expected one of published"),
    "grace without days": (rule("grace: {after: published}, action: log"), 'the key "days" is missing'),
    "grace of no days": (rule("grace: {after: published, days: 0}, action: log"), "from 1 to 3660"),
    "grace as a length": (rule("grace: {after: published, days: 30d}, action: log"), "a whole number"),
    "grace for an image": (
        "mode: audit\nrules: [{id: a, when: {distro: {eol: true}}, grace: {after: published, days: 3}, action: log}]\n",
        "asks nothing about findings",
    ),
    "an unknown source": (f"mode: audit\nseverity: {{source_order: [nist]}}\n{RULE}", "expected one of vex"),
    "a source twice": (f"mode: audit\nseverity: {{source_order: [nvd, nvd]}}\n{RULE}", "stands twice"),
    "no source": (f"mode: audit\nseverity: {{source_order: []}}\n{RULE}", "the list is empty"),
    "a severity that is none": (f"mode: audit\nseverity: {{unknown_as: hihg}}\n{RULE}", 'did you mean "high"?'),
    "no age": (f"mode: audit\nfreshness: {{scan_max_age: {{}}}}\n{RULE}", "states no age"),
    "ages that weaken": (
        f"mode: audit\nfreshness: {{scan_max_age: {{warn: 9d, block: 2d}}}}\n{RULE}",
        '"block" must begin at a greater age than "warn"',
    ),
    "an age without unit": (f"mode: audit\nfreshness: {{scan_max_age: 7}}\n{RULE}", "a length of time"),
    "a path alone": (
        f"mode: audit\ntrust: [{{id: t, match: {{path: /apps/**}}, skip: rules}}]\n{RULE}",
        "a path alone is not enough",
    ),
    "trust for a user": (
        f"mode: audit\ntrust: [{{id: t, match: {{user: a}}, skip: rules}}]\n{RULE}",
        'unknown key "user"',
    ),
    "trust without skip": (
        f"mode: audit\ntrust: [{{id: t, match: {{owner: root}}}}]\n{RULE}",
        'the key "skip" is missing',
    ),
    "a store twice": (
        "mode: audit\ntrust:\n" + "- {id: t, match: {owner: root}, skip: all}\n" * 2 + RULE,
        'the store id "t" is taken',
    ),
    "a short key id": (
        f"mode: audit\ntrust: [{{id: t, match: {{signed_by: '0xDEADBEEF'}}, skip: all}}]\n{RULE}",
        "fingerprint",
    ),
    "signatures of nobody knows whom": (
        f"mode: audit\ntrust: [{{id: t, match: {{signed_by: '{KEY}'}}, skip: all}}]\n{RULE}",
        '"signed_by" needs the key "signatures"',
    ),
    "a relative path": (
        f"mode: audit\n{RULE}scopes: [{{id: s, match: {{path: 'a/**'}}, set: {{mode: warn}}}}]\n",
        "expected an absolute path",
    ),
    "stars in a word": (
        f"mode: audit\n{RULE}scopes: [{{id: s, match: {{path: '/a**/b'}}, set: {{mode: warn}}}}]\n",
        "put it between slashes",
    ),
    "a path that climbs": (
        f"mode: audit\n{RULE}scopes: [{{id: s, match: {{path: '/a/../b'}}, set: {{mode: warn}}}}]\n",
        'a pattern holds no ".."',
    ),
    "an unknown door": (
        f"mode: audit\n{RULE}scopes: [{{id: s, match: {{door: window}}, set: {{mode: warn}}}}]\n",
        "expected one of spank",
    ),
    "an unknown point": (f"mode: audit\nenforcement_points: {{pull: warn}}\n{RULE}", 'unknown key "pull"'),
    "an unknown ceiling": (
        f"mode: audit\nenforcement_points: {{submit: inherits}}\n{RULE}",
        'did you mean "inherit"?',
    ),
    "every author": (f'mode: audit\nvex: {{trusted_authors: ["*"]}}\n{RULE}', "would trust every author"),
    "two writers": (
        f"mode: audit\nexceptions: {{writable_by: {{user: a, group: b}}}}\n{RULE}",
        "expected one of user and group",
    ),
    "no end of break-glass": (
        f"mode: audit\nbreak_glass: {{groups: [a]}}\n{RULE}",
        'the key "max_duration" is missing',
    ),
    "break-glass for ever": (
        f"mode: audit\nbreak_glass: {{groups: [a], max_duration: 8d}}\n{RULE}",
        "expected a length of time from 60s",
    ),
    "break-glass for nobody": (
        f"mode: audit\nbreak_glass: {{groups: [], max_duration: 4h}}\n{RULE}",
        "the list is empty",
    ),
    "a budget of half a launch": (
        f"mode: audit\nfail_open_budget: {{per_hour: 0.5, then: block}}\n{RULE}",
        "a whole number",
    ),
    "a budget without an end": (f"mode: audit\nfail_open_budget: {{per_hour: 5}}\n{RULE}", '"then" is missing'),
    "a promotion that starts below the default": (
        rule("action: {now: log, 2026-10-01: block}") + "default_action: warn\n",
        "would loosen the decision",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_slip_is_refused_with_its_place(name: str) -> None:
    """Each slip is an error with file, line and column, and says what was expected."""
    text, words = REFUSED[name]
    with pytest.raises(PolicyError) as caught:
        policy(text)
    message = str(caught.value)
    assert message.startswith("policy.yaml:"), message
    assert words in message


def test_dates_may_be_quoted_and_in_any_order() -> None:
    """YAML dates and strings are the same dates, and are sorted once."""
    text = 'action: {2026-12-01: block, "2026-10-01": warn, now: log}'
    expected = Schedule(
        Action.LOG, (Step(date(2026, 10, 1), Action.WARN), Step(date(2026, 12, 1), Action.BLOCK))
    )
    assert policy(rule(text)).rules[0].action == expected


def test_settings_are_read_as_written() -> None:
    """Every site-wide key arrives where the evaluator and the agent look for it."""
    site = policy(
        "mode: audit\nmetadata: {name: n, revision: '7'}\nseverity: {source_order: [nvd, distro], unknown_as: low}\n"
        "freshness: {scan_max_age: 7d, advisories_max_age: {block: 30d, warn: 48h}}\n"
        "extended_support: [ubuntu, debian]\n"
        "exceptions: {directory: e, writable_by: {user: secops}, max_days: 90, announce: 7d}\n"
        "vex: {directory: /v, trusted_authors: [a, 'B*']}\nsignatures: {keyring: k}\n"
        "break_glass: {groups: [oncall], max_duration: 4h, require_reason: false}\n"
        "fail_open_budget: {per_hour: 50, then: block}\n"
        "enforcement_points: {submit: warn, prolog: inherit, cli: block}\n"
        f"{RULE}"
    )
    assert (site.metadata.name, site.metadata.owner, site.metadata.revision) == ("n", "", "7")
    assert (site.severity.source_order, site.severity.unknown_as) == (("nvd", "distro"), Severity.LOW)
    assert site.stance.freshness.scan == (Limit(604_800, Action.WARN),)
    assert site.stance.freshness.advisories == (Limit(172_800, Action.WARN), Limit(2_592_000, Action.BLOCK))
    assert site.extended_support == ("debian", "ubuntu")
    settings = site.exception_settings
    assert (settings.directory, settings.writable_by) == ("e", Writers(user="secops"))
    assert (settings.limits.max_days, settings.limits.announce_days) == (90, 7)
    assert (site.vex_settings.directory, site.vex_settings.trusted_authors) == ("/v", ("a", "B*"))
    assert site.signatures.keyring == "k"
    assert site.break_glass == BreakGlass(("oncall",), 14_400, require_reason=False)
    assert site.fail_open_budget == FailOpenBudget(50, Action.BLOCK)
    assert site.stance.enforcement_points == {Point.SUBMIT: Action.WARN}


def test_later_files_change_single_words_of_a_setting() -> None:
    """A drop-in that shortens exceptions leaves their directory as it was."""
    site = policy(
        f"mode: audit\nexceptions: {{directory: e, max_days: 90}}\nenforcement_points: {{submit: warn}}\n"
        f"freshness: {{scan_max_age: 7d}}\n{RULE}",
        "exceptions: {max_days: 30}\nenforcement_points: {prolog: log, submit: inherit}\n"
        "freshness: {advisories_max_age: 48h}\n",
    )
    assert site.exception_settings.directory == "e"
    assert site.exception_settings.limits.max_days == 30
    assert site.stance.enforcement_points == {Point.PROLOG: Action.LOG}
    assert site.stance.freshness.scan
    assert site.stance.freshness.advisories


def test_grace_is_read() -> None:
    """The clock by its word, the days as a number."""
    site = policy(rule("grace: {after: first_seen_site, days: 30}, action: log"))
    assert site.rules[0].grace == Grace(Clock.FIRST_SEEN_SITE, 30)


@pytest.mark.parametrize(
    "change",
    [
        "metadata: {revision: '2'}",
        "severity: {unknown_as: medium}",
        "freshness: {scan_max_age: 8d}",
        "extended_support: [debian]",
        "exceptions: {max_days: 30}",
        "vex: {trusted_authors: [a]}",
        "trust: [{id: t, match: {owner: root}, skip: rules}]",
        "break_glass: {groups: [a], max_duration: 1h}",
        "fail_open_budget: {per_hour: 1, then: warn}",
        "enforcement_points: {submit: warn}",
    ],
)
def test_every_setting_is_part_of_the_digest(change: str) -> None:
    """Two policies that could judge differently never share a digest."""
    assert policy(f"mode: audit\n{RULE}{change}\n").digest != policy(f"mode: audit\n{RULE}").digest
