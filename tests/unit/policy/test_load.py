# SPDX-License-Identifier: Apache-2.0
"""Loading a policy: what is refused, where the error points, how files are merged."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from tests.unit.policy.builders import ROOT, launch, policy

from sifgate.errors import PolicyError
from sifgate.model.decision import Action
from sifgate.model.verdict import FailureCause, ScanState, UnscannableCause
from sifgate.policy.document import FAILURE_DEFAULTS, STATE_DEFAULTS, UNSCANNABLE_DEFAULTS, Mode
from sifgate.policy.fallback import fallback_policy
from sifgate.policy.load import load_policy, policy_files

RULE = "rules: [{id: kev, when: {kev: true}, action: block}]\n"

COMMENTED_KEY = re.compile(
    r"^( *)# ((?:contact|scopes|freshness|enforcement_points|fail_open_budget|trust|exceptions|break_glass): ?.*"
    r"| *- id: .*| *(?:when|action|match|set|skip|mode|scan_states):.*)$",
    re.MULTILINE,
)
"""A line of the shipped policy that is a key behind `# `, not prose."""

REFUSED = {
    "unknown key": (f"mod: audit\n{RULE}", "2:1", 'unknown key "mod" (did you mean "mode"?)'),
    "unknown key in when": (
        "mode: audit\nrules:\n  - id: a\n    when: {sevrity: '>= high'}\n    action: log\n",
        "5:12",
        'rules[0].when: unknown key "sevrity" (did you mean "severity"?)',
    ),
    "unknown state": (f"mode: audit\nscan_states: {{unscaned: block}}\n{RULE}", "3:15", "unknown key"),
    "known has no action": (
        f"mode: audit\nscan_states: {{known: block}}\n{RULE}",
        "3:15",
        'unknown key "known"',
    ),
    "no mode": (RULE, "1:1", 'the key "mode" is missing'),
    "wrong mode": (f"mode: enforced\n{RULE}", "2:7", '(did you mean "enforce"?)'),
    "mode of another type": (f"mode: true\n{RULE}", "2:7", 'got the word "true"'),
    "no rules": ("mode: audit\n", "1:1", "the policy has no rules"),
    "empty rules": ("mode: audit\nrules: []\n", "3:8", "the list is empty"),
    "rules of nothing": ("mode: audit\nrules:\n", "3:7", "expected a list, got nothing"),
    "empty rule": ("mode: audit\nrules: [{id: a, when: {}, action: log}]\n", "3:23", "the rule is empty"),
    "rule without action": (
        "mode: audit\nrules: [{id: a, when: {kev: true}}]\n",
        "3:9",
        'the key "action" is missing',
    ),
    "duplicate id": (
        "mode: audit\nrules:\n- {id: a, when: {kev: true}, action: log}\n- {id: a, when: {kev: true}, action: log}\n",
        "5:8",
        'the rule id "a" is taken (policy.yaml:4)',
    ),
    "duplicate key": (f"mode: audit\nmode: enforce\n{RULE}", "3:1", 'the key "mode" stands twice'),
    "bad id": ("mode: audit\nrules: [{id: A b, when: {kev: true}, action: log}]\n", "3:14", "expected an id"),
    "reserved id": (
        "mode: audit\nrules: [{id: default_action, when: {kev: true}, action: log}]\n",
        "3:14",
        "taken by sifgate itself",
    ),
    "bare severity": (
        "mode: audit\nrules: [{id: a, when: {severity: high}, action: log}]\n",
        "3:34",
        '">= high" (at least) or "= high" (exactly)',
    ),
    "misspelt severity": (
        "mode: audit\nrules: [{id: a, when: {severity: '>= hihg'}, action: log}]\n",
        "3:34",
        '(did you mean "high"?)',
    ),
    "impossible severity": (
        "mode: audit\nrules: [{id: a, when: {severity: '> critical'}, action: log}]\n",
        "3:34",
        "no severity is",
    ),
    "unknown is off the scale": (
        "mode: audit\nrules: [{id: a, when: {severity: '>= unknown'}, action: log}]\n",
        "3:34",
        "has no place on the scale",
    ),
    "yes is no boolean": (
        "mode: audit\nrules: [{id: a, when: {kev: yes}, action: log}]\n",
        "3:29",
        "expected true or false",
    ),
    "count without over": (
        "mode: audit\nrules: [{id: a, when: {count: {kev: true}}, action: log}]\n",
        "3:31",
        'the key "over" is missing',
    ),
    "count in count": (
        "mode: audit\nrules: [{id: a, when: {count: {count: {over: 1}, over: 1}}, action: log}]\n",
        "3:32",
        'unknown key "count"',
    ),
    "count below zero": (
        "mode: audit\nrules: [{id: a, when: {count: {over: -1}}, action: log}]\n",
        "3:38",
        "from 0 to 1000000",
    ),
    "half a count": (
        "mode: audit\nrules: [{id: a, when: {count: {over: 2.5}}, action: log}]\n",
        "3:38",
        "expected a whole number",
    ),
    "empty distro": (
        "mode: audit\nrules: [{id: a, when: {distro: {}}, action: log}]\n",
        "3:32",
        "asks nothing",
    ),
    "for without eol": (
        "mode: audit\nrules: [{id: a, when: {distro: {for: 5d}}, action: log}]\n",
        "3:33",
        'needs "eol: true"',
    ),
    "for and within": (
        "mode: audit\nrules: [{id: a, when: {distro: {eol: true, for: 5d, within: 5d}}, action: log}]\n",
        "3:53",
        "exclude each other",
    ),
    "days without unit": (
        "mode: audit\nrules: [{id: a, when: {distro: {eol: true, for: '5'}}, action: log}]\n",
        "3:49",
        "a number of days",
    ),
    "version not quoted": (
        "mode: audit\nrules: [{id: a, when: {distro: {version: 12.10}}, action: log}]\n",
        "3:42",
        'got the number "12.10"',
    ),
    "no package": (
        "mode: audit\nrules: [{id: a, when: {package: {}}, action: log}]\n",
        "3:33",
        "names no package",
    ),
    "no package in the list": (
        "mode: audit\nrules: [{id: a, when: {package: []}, action: log}]\n",
        "3:33",
        "the list is empty",
    ),
    "no comparison": (
        "mode: audit\nrules: [{id: a, when: {severity: 'at least high'}, action: log}]\n",
        "3:34",
        'a comparison such as ">= high"',
    ),
    "severity of another type": (
        "mode: audit\nrules: [{id: a, when: {severity: 7}, action: log}]\n",
        "3:34",
        "expected text",
    ),
    "no such manager": (
        "mode: audit\nrules: [{id: a, when: {package: {manager: pyton}}, action: log}]\n",
        "3:43",
        '(did you mean "python"?)',
    ),
    "a date is no text": (f"mode: audit\ncontact: 2026-01-01\n{RULE}", "3:10", 'got the date "2026-01-01"'),
    "scan_wait too long": (f"mode: audit\nscan_wait: 41s\n{RULE}", "3:12", "from 0s to 40s"),
    "scan_wait without unit": (f"mode: audit\nscan_wait: 10\n{RULE}", "3:12", "a length of time"),
    "empty scope": (
        f"mode: audit\n{RULE}scopes: [{{id: s, match: {{}}, set: {{mode: warn}}}}]\n",
        "4:25",
        "it would match every launch",
    ),
    "scope that sets nothing": (
        f"mode: audit\n{RULE}scopes: [{{id: s, match: {{user: a}}, set: {{}}}}]\n",
        "4:41",
        "it sets nothing",
    ),
    "pattern in a scope": (
        f"mode: audit\n{RULE}scopes: [{{id: s, match: {{partition: 'gpu*'}}, set: {{mode: warn}}}}]\n",
        "4:37",
        "names are exact",
    ),
    "scope names no rule": (
        f"mode: warn\n{RULE}scopes: [{{id: s, match: {{user: a}}, set: {{rules: {{kef: log}}}}}}]\n",
        "4:50",
        '(did you mean "kev"?)',
    ),
    "duplicate scope": (
        f"mode: audit\n{RULE}scopes:\n"
        + "".join(f"- {{id: s, match: {{user: {user}}}, set: {{mode: warn}}}}\n" for user in "ab"),
        "6:8",
        'the scope id "s" is taken',
    ),
    "a rule that loosens": (
        "mode: audit\ndefault_action: block\nrules: [{id: a, when: {kev: true}, action: log}]\n",
        "4:9",
        "would loosen the decision",
    ),
    "a scope that loosens": (
        RULE
        + "mode: warn\nscopes: [{id: s, match: {user: a}, set: {default_action: log, rules: {kev: allow}}}]\n",
        "4:41",
        "would loosen the decision",
    ),
    "tab": (f"mode: audit\nscan_states:\n\tpending: log\n{RULE}", "4:1", "a tab is not allowed"),
    "control character": (f'mode: audit\ncontact: "a\\eb"\n{RULE}', "3:10", "control or invisible"),
    "not a mapping": ("- a\n", "2:1", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_error_names_place_and_remedy(name: str) -> None:
    """Each slip is refused with file, line, column, the line itself and what was meant."""
    text, place, words = REFUSED[name]
    with pytest.raises(PolicyError) as caught:
        policy(text)
    message = str(caught.value)
    assert message.startswith(f"policy.yaml:{place}: "), message
    assert words in message
    assert "\n" in message


@pytest.mark.parametrize(
    "text", ["", "mode: audit\n", "schema: sifgate.policy/v2\nmode: audit\n", "schema: 1\n"]
)
def test_schema_must_be_named(tmp_path: Path, text: str) -> None:
    """A file without the schema of this version is refused before its keys are."""
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=r"policy\.yaml:1:"):
        load_policy(path)


def test_missing_file_is_a_policy_error(tmp_path: Path) -> None:
    """The name of the file is in the error, whatever the system says."""
    with pytest.raises(PolicyError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_policy(tmp_path / "nowhere.yaml")
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path)


def test_drop_ins_that_cannot_be_listed_are_an_error(tmp_path: Path) -> None:
    """A rule that cannot be read is not a rule that is not there."""
    path = tmp_path / "policy.yaml"
    path.write_text(f"schema: sifgate.policy/v1\nmode: audit\n{RULE}")
    (tmp_path / "policy.d").write_text("a file")
    with pytest.raises(PolicyError, match=r"policy\.d: cannot be read: Not a directory"):
        load_policy(path)


def test_drop_ins_are_merged_in_name_order(tmp_path: Path) -> None:
    """Rules are appended, single keys replaced, states replaced one by one; other files are left alone."""
    drop_ins = tmp_path / "policy.d"
    drop_ins.mkdir()
    head = "schema: sifgate.policy/v1\n"
    (tmp_path / "policy.yaml").write_text(
        f"{head}mode: audit\nscan_states: {{pending: block, failed: block}}\n{RULE}"
    )
    (drop_ins / "20-late.yaml").write_text(f"{head}mode: enforce\ncontact: late\n")
    (drop_ins / "10-early.yaml").write_text(
        f"{head}mode: warn\ncontact: early\nscan_states: {{pending: allow}}\n"
        "rules: [{id: crit, when: {severity: '>= critical'}, action: warn}]\n"
    )
    for ignored in ("30-x.yaml~", ".40.yaml", "README", "50.yaml.rpmsave"):
        (drop_ins / ignored).write_text("not: read")
    loaded = load_policy(tmp_path / "policy.yaml")
    assert loaded.stance.mode is Mode.ENFORCE
    assert loaded.contact == "late"
    assert [rule.id for rule in loaded.rules] == ["kev", "crit"]
    assert loaded.stance.scan_states[ScanState.PENDING] is Action.ALLOW
    assert loaded.stance.scan_states[ScanState.FAILED] is Action.BLOCK
    assert [Path(file).name for file in loaded.files] == ["policy.yaml", "10-early.yaml", "20-late.yaml"]
    assert policy_files(tmp_path / "policy.yaml") == tuple(map(Path, loaded.files))


def test_drop_in_with_another_ending_is_refused(tmp_path: Path) -> None:
    """`x.yml` would be a rule that nobody enforces."""
    (tmp_path / "policy.d").mkdir()
    (tmp_path / "policy.yaml").write_text(f"schema: sifgate.policy/v1\nmode: audit\n{RULE}")
    (tmp_path / "policy.d" / "x.yml").write_text("")
    with pytest.raises(PolicyError, match=r"policy files end in \.yaml"):
        load_policy(tmp_path / "policy.yaml")


def test_error_in_an_overridden_key_is_still_an_error() -> None:
    """What a later file replaces is read all the same."""
    with pytest.raises(PolicyError, match=r"policy\.yaml:2:7"):
        policy("mode: enforced\n" + RULE, "mode: audit\n")


def test_error_in_a_drop_in_names_the_drop_in() -> None:
    """The place is that of the file where the slip is."""
    with pytest.raises(PolicyError, match=r"policy\.d/0\.yaml:2:14: .*taken \(policy\.yaml:3\)"):
        policy(f"mode: audit\n{RULE}", "rules: [{id: kev, when: {kev: true}, action: log}]\n")


def test_every_state_and_cause_has_a_default_action() -> None:
    """No word of the design is left without an action."""
    assert set(STATE_DEFAULTS) == set(ScanState) - {ScanState.KNOWN, ScanState.UNSCANNABLE}
    assert set(UNSCANNABLE_DEFAULTS) == set(UnscannableCause)
    assert set(FAILURE_DEFAULTS) == set(FailureCause)


def test_one_word_sets_all_causes_of_unscannable() -> None:
    """`unscannable: block` stands for every cause."""
    loaded = policy(f"mode: audit\nscan_states: {{unscannable: block}}\n{RULE}")
    assert set(loaded.stance.unscannable.values()) == {Action.BLOCK}


def test_digest_ignores_comments_order_and_spelling() -> None:
    """Equal meaning, equal digest; another meaning, another digest."""
    one = policy(
        "mode: audit\ncontact: me\nrules: [{id: a, when: {severity: '>= high', kev: true}, action: log}]\n"
    )
    two = policy(
        "# a comment\nrules:\n- when: {kev: true, severity: [critical, high]}\n  action: log\n  id: a\n"
        "contact: 'me'\nmode: audit\nscan_wait: 10000ms\nsuppress: {kernel_headers: true}\n"
    )
    assert one.digest == two.digest
    assert one.digest.startswith("sha256:")
    assert len(one.digest) == 71
    for change in (
        "mode: warn",
        "contact: you",
        "severity: '>= medium'",
        "kev: false",
        "action: block",
        "id: b",
    ):
        key = change.split(":", maxsplit=1)[0]
        old = {"mode": "mode: audit", "contact": "contact: me", "severity": "severity: '>= high'"}.get(key)
        old = old or {"kev": "kev: true", "action": "action: log", "id": "id: a"}[key]
        text = "mode: audit\ncontact: me\nrules: [{id: a, when: {severity: '>= high', kev: true}, action: log}]\n"
        assert policy(text.replace(old, change)).digest != one.digest, change


def test_launch_fields_are_exactly_those_in_use() -> None:
    """A memo need not care for facts that no scope asks about."""
    assert policy(f"mode: audit\ncontent_injected: allow\n{RULE}").launch_fields == frozenset()
    scoped = policy(
        f"mode: audit\n{RULE}scopes:\n- {{id: s, match: {{user: a, partition: p}}, set: {{mode: warn}}}}\n"
    )
    expected = {"requester.user", "job.partition", "requester.trusted", "content_injected"}
    assert scoped.launch_fields == expected
    assert scoped.launch_key(launch()) == ((), "batch", True, "alice")


def test_posture_is_what_the_protocol_says() -> None:
    """The flat file for shims; its action is under the mode's ceiling like any other."""
    text = f"contact: security@site.example\nscan_wait: 2500ms\nfailure: {{agent_unreachable: block}}\n{RULE}"
    assert policy(f"mode: enforce\n{text}").posture() == (
        "sifgate-posture 1\nagent_unreachable block\nscan_wait_ms 2500\ncontact security@site.example\n"
    )
    assert "agent_unreachable log\n" in policy(f"mode: audit\n{text}").posture()


@pytest.mark.parametrize("name", ["policy.yaml", "examples/enforcing.yaml"])
def test_shipped_policies_load(name: str) -> None:
    """What is installed can be used as it is."""
    loaded = load_policy(ROOT / "etc/sifgate" / name)
    assert loaded.stance.mode is (Mode.AUDIT if name == "policy.yaml" else Mode.ENFORCE)


def test_commented_parts_of_the_shipped_policy_load(tmp_path: Path) -> None:
    """Whoever removes the `# ` before a key gets a policy that works."""
    text = (ROOT / "etc/sifgate/policy.yaml").read_text()
    path = tmp_path / "policy.yaml"
    path.write_text(COMMENTED_KEY.sub(r"\1\2", text))
    (tmp_path / "exceptions.d").mkdir()
    loaded = load_policy(path)
    assert "too-many-high" in [rule.id for rule in loaded.rules]
    assert [scope.id for scope in loaded.scopes] == ["secure-partition", "teaching"]
    assert [store.id for store in loaded.trust] == ["site-store"]
    assert loaded.break_glass
    assert loaded.fail_open_budget
    assert loaded.stance.freshness.scan
    assert loaded.exception_settings.writable_by.group == "secops"
    assert loaded.contact


def test_fallback_policy_refuses_nothing() -> None:
    """An agent without a policy logs and lets pass."""
    fallback = fallback_policy()
    assert fallback.stance.mode is Mode.AUDIT
    assert fallback.digest


def test_large_policy_loads_in_bounded_time() -> None:
    """As many rules as are allowed take a few seconds at most."""
    rules = "\n".join(
        f"- {{id: r{n}, when: {{package: 'p{n}*', kev: true}}, action: log}}" for n in range(500)
    )
    start = time.process_time()
    assert len(policy(f"mode: audit\nrules:\n{rules}\n").rules) == 500
    assert time.process_time() - start < 10
