# SPDX-License-Identifier: Apache-2.0
"""The ten rules that no later change may bend, learned from the faults of other gates; one test or more for each."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from tests.unit.policy.builders import EVERYTHING, NOON, ROOT, finding, launch, policy, standing

from sifgate import yamlfile
from sifgate.agent.holder import PolicyHolder
from sifgate.audit.record import AuditRecord
from sifgate.errors import PolicyError
from sifgate.model.decision import Action, Decision
from sifgate.model.finding import Score, Severity
from sifgate.model.launch import Grant
from sifgate.model.verdict import Verdict
from sifgate.model.vex import VexStatement, VexStatus
from sifgate.policy.conditions.vocabulary import VOCABULARY
from sifgate.policy.document import Policy, sealed
from sifgate.policy.evaluate import evaluate
from sifgate.policy.exceptions.announce import Stage, announced, stage_of
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.exceptions.limits import ExceptionLimits
from sifgate.policy.exceptions.read import read_exceptions
from sifgate.policy.load import load_policy, load_with_sources, policy_of
from sifgate.policy.read import policy_from

HEAD = "schema: sifgate.policy/v1\n"
RULE = "rules: [{id: kev, when: {kev: true}, action: block}]\n"
ENTRY = {
    "id": "SEC-1",
    "vulnerability": ["CVE-2025-48384"],
    "reason": "not reachable",
    "author": "alice",
    "approved_by": "bob",
    "ticket": "T-1",
    "created": "2026-08-01",
    "expires": "2026-09-30",
}
EXCEPTION = PolicyException(
    id="SEC-1",
    reason="not reachable",
    author="alice",
    created=date(2026, 8, 1),
    expires=date(2026, 9, 30),
    vulnerabilities=("CVE-2025-48384",),
)
STATEMENT = VexStatement(
    document="vex-1",
    author="security@site.example",
    vulnerabilities=("CVE-2025-48384",),
    status=VexStatus.NOT_AFFECTED,
    products=("pkg:deb/debian/linux-libc-dev",),
    timestamp="2026-08-01T00:00:00Z",
)
GRANT = Grant(
    id="g1",
    uid=1000,
    reason="incident",
    by="olga",
    begins="2026-09-01T11:00:00Z",
    ends="2026-09-01T13:00:00Z",
)


def exceptions(
    *entries: dict[str, Any], limits: ExceptionLimits | None = None
) -> tuple[PolicyException, ...]:
    """Return what a file with these entries holds."""
    text = json.dumps({"schema": "sifgate.exceptions/v1", "exceptions": entries})
    return read_exceptions(
        [yamlfile.parse(text.encode(), "e.yaml", failure=PolicyError)], limits or ExceptionLimits()
    )


def changed(site: Policy, **fields: Any) -> Policy:
    """Return a policy with other fields, sealed again."""
    return sealed(msgspec.structs.replace(site, **fields))


def asides(decision: Decision) -> list[str]:
    """Return what set findings aside, as `kind:id`."""
    return [f"{each.kind}:{each.id}" for each in decision.aside]


# 1. The schema is mandatory, an unknown key is an error, the JSON Schema is published.


def test_1_schema_is_mandatory(tmp_path: Path) -> None:
    """A file that does not say what it is could be anything."""
    (tmp_path / "policy.yaml").write_text(f"mode: audit\n{RULE}")
    with pytest.raises(PolicyError, match='the key "schema" is missing'):
        load_policy(tmp_path / "policy.yaml")


@pytest.mark.parametrize("where", [("rules", 0), ("rules", 0, "when"), ("scopes", 0), ("exceptions",), ()])
def test_1_unknown_key_is_an_error(where: tuple[str | int, ...]) -> None:
    """A slip of the pen never becomes "no limit", at whatever depth."""
    document: Any = yamlfile.parse(EVERYTHING.encode(), "policy.yaml", failure=PolicyError).plain()
    at = document
    for key in where:
        at = at[key]
    at["actoin"] = "block"
    slip = yamlfile.parse(json.dumps(document, indent=1).encode(), "policy.yaml", failure=PolicyError)
    with pytest.raises(PolicyError, match=r'policy\.yaml:[0-9]+:[0-9]+: .*unknown key "actoin"'):
        policy_from([slip])


def test_1_published_schema_takes_what_the_loader_takes() -> None:
    """The policy that uses every key is valid for an editor too."""
    schema = json.loads((ROOT / "src/sifgate/policy/schema.json").read_text())
    document = yamlfile.parse(EVERYTHING.encode(), "policy.yaml", failure=PolicyError).plain()
    assert not list(Draft202012Validator(schema).iter_errors(document))
    assert policy(EVERYTHING.removeprefix(HEAD)).rules


# 2. A malformed date is an error at load, never "no expiry"; an expired entry is inactive, listed and announced.


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-30", "never", "", "01.12.2026", "20261201", None])
def test_2_malformed_date_is_an_error_at_load(text: str | None) -> None:
    """Neither an exception without an end nor a promotion that never comes can be written by accident."""
    with pytest.raises(PolicyError, match=r"e\.yaml:1:[0-9]+"):
        exceptions(ENTRY | {"expires": text})
    dates = json.dumps({"now": "log", str(text): "block"})
    with pytest.raises(PolicyError, match=r"policy\.yaml:3:[0-9]+"):
        policy(f"mode: audit\nrules: [{{id: a, when: {{kev: true}}, action: {dates}}}]\n")


def test_2_expired_exception_loads_matches_nothing_and_is_listed() -> None:
    """The day after its last it is inactive, and what was announced before is now listed as expired."""
    (entry,) = exceptions(ENTRY)
    site = changed(policy(f"mode: enforce\n{RULE}"), exceptions=(entry,))
    known = standing(finding(kev=True))
    last = datetime(2026, 9, 30, 23, 59, 59, tzinfo=timezone.utc)
    after = datetime(2026, 10, 1, tzinfo=timezone.utc)
    assert evaluate(site, known, launch(), last).action is Action.ALLOW
    assert evaluate(site, known, launch(), last).valid_until == "2026-10-01T00:00:00Z"
    assert evaluate(site, known, launch(), after).action is Action.BLOCK
    assert announced(site.exceptions, last, 14) == (entry,)
    assert stage_of(entry, after, 14) is Stage.EXPIRED


# 3. Every exception says who, why and until when, and the site may ask for more.


@pytest.mark.parametrize("key", ["id", "reason", "author", "created", "expires"])
def test_3_exception_without_it_is_refused(key: str) -> None:
    """An exception that nobody answers for is no exception."""
    with pytest.raises(PolicyError, match=f'the key "{key}" is missing'):
        exceptions({name: value for name, value in ENTRY.items() if name != key})


def test_3_site_caps_length_and_asks_for_ticket_and_approver() -> None:
    """The policy governs its exceptions."""
    limits = ExceptionLimits(max_days=30, require=("approved_by", "ticket"))
    with pytest.raises(PolicyError, match="expires"):
        exceptions(ENTRY, limits=limits)
    short = ENTRY | {"expires": "2026-08-20"}
    assert exceptions(short, limits=limits)
    for key in ("ticket", "approved_by"):
        with pytest.raises(PolicyError, match=key):
            exceptions({name: value for name, value in short.items() if name != key}, limits=limits)
    with pytest.raises(PolicyError, match="approved_by"):
        exceptions(short | {"approved_by": "alice"}, limits=limits)


def test_3_exception_may_end_with_the_first_fix() -> None:
    """`until: fix_available` leaves nothing excepted that an upgrade would end."""
    site = changed(
        policy(f"mode: enforce\n{RULE}"), exceptions=exceptions(ENTRY | {"until": "fix_available"})
    )
    unfixed, fixed = finding(kev=True, fixed_version=""), finding(kev=True)
    assert evaluate(site, standing(unfixed), launch(), NOON).action is Action.ALLOW
    assert evaluate(site, standing(fixed), launch(), NOON).action is Action.BLOCK


# 4. Files that others can write are refused, and a bad reload keeps the last good policy and says so.


def test_4_file_that_others_can_write_is_refused_and_the_last_good_policy_stays(tmp_path: Path) -> None:
    """Neither a slip nor an unsafe file leaves a node without rules."""
    path = tmp_path / "policy.yaml"
    path.write_text(f"{HEAD}mode: enforce\n{RULE}")
    path.chmod(0o600)
    holder = PolicyHolder(path, tmp_path / "posture")
    assert holder.reload() == ""
    good = holder.policy.digest
    path.chmod(0o666)
    assert "policy.yaml" in holder.reload()
    path.chmod(0o600)
    path.write_text(f"{HEAD}mode: enforced\n{RULE}")
    assert "policy.yaml:2:7" in holder.reload()
    assert holder.policy.digest == good
    assert holder.problem


# 5. Files are merged in one order; exceptions have a directory of their own.


def test_5_merge_is_deterministic_and_exceptions_lie_apart(tmp_path: Path) -> None:
    """Main file, drop-ins by name, exceptions by name: in whatever order the directory lists them."""
    (tmp_path / "policy.yaml").write_text(f"{HEAD}mode: audit\nexceptions: {{directory: e}}\n{RULE}")
    for name, content in (
        ("policy.d/20.yaml", f"{HEAD}mode: enforce\n"),
        ("policy.d/10.yaml", f"{HEAD}mode: warn\nrules: [{{id: b, when: {{kev: true}}, action: log}}]\n"),
        ("e/2.yaml", json.dumps({"schema": "sifgate.exceptions/v1", "exceptions": [ENTRY | {"id": "Z"}]})),
        ("e/1.yaml", json.dumps({"schema": "sifgate.exceptions/v1", "exceptions": [ENTRY]})),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    sources, loaded = load_with_sources(tmp_path / "policy.yaml")
    assert loaded.stance.mode.value == "enforce"
    assert [rule.id for rule in loaded.rules] == ["kev", "b"]
    assert [each.id for each in loaded.exceptions] == ["SEC-1", "Z"]
    assert [Path(file.path).name for file in sources.files] == [
        "policy.yaml", "10.yaml", "20.yaml", "1.yaml", "2.yaml",
    ]  # fmt: skip
    assert policy_of(sources).digest == loaded.digest


# 6. The order of evaluation is fixed; the mode caps, and the record still says what would have happened.


def test_6_vex_comes_before_suppression_before_exception() -> None:
    """A finding that all three would set aside is named by the first of them."""
    header = finding(package="linux-libc-dev", source="linux", kev=True)
    site = changed(
        policy(f"mode: enforce\nvex: {{trusted_authors: [security@site.example]}}\n{RULE}"),
        exceptions=(EXCEPTION,),
        vex=(STATEMENT,),
    )
    assert asides(evaluate(site, standing(header), launch(), NOON)) == ["vex:vex-1"]
    site = changed(site, vex=())
    assert asides(evaluate(site, standing(header), launch(), NOON)) == ["suppressed:kernel_headers"]
    site = changed(site, kernel_headers=False)
    assert asides(evaluate(site, standing(header), launch(), NOON)) == ["exception:SEC-1"]
    assert evaluate(changed(site, exceptions=()), standing(header), launch(), NOON).action is Action.BLOCK


def test_6_severity_is_normalised_before_everything_else() -> None:
    """What nobody has rated counts as the policy says, for rules and for the worst that is shown."""
    text = (
        "mode: enforce\nseverity: {unknown_as: critical}\n"
        'rules: [{id: c, when: {severity: ">= critical"}, action: block}]\n'
    )
    decision = evaluate(policy(text), standing(finding(severity=Severity.UNKNOWN)), launch(), NOON)
    assert decision.action is Action.BLOCK
    assert decision.reasons[0].findings[0].severity is Severity.CRITICAL


def test_6_exceptions_come_before_clocks_and_clocks_before_rules() -> None:
    """What is excepted needs no grace, and a count holds only what is out of grace."""
    text = (
        "mode: enforce\nrules:\n- {id: many, when: {count: {kev: true, over: 1}}, "
        "grace: {after: kev_added, days: 14}, action: block}\n"
    )
    old = [
        finding(vulnerability=name, kev=True, kev_added="2026-01-01") for name in ("CVE-1", "CVE-2025-48384")
    ]
    new = finding(vulnerability="CVE-3", kev=True, kev_added="2026-08-31")
    assert evaluate(policy(text), standing(*old, new), launch(), NOON).reasons[0].count == 2
    excepted = changed(policy(text), exceptions=(EXCEPTION,))
    assert evaluate(excepted, standing(*old, new), launch(), NOON).action is Action.ALLOW


def test_6_ceilings_come_after_the_worst_action_and_break_glass_after_them() -> None:
    """Each later step weakens what the one before left, and the record keeps what it would have been."""
    text = (
        f"mode: MODE\nbreak_glass: {{groups: [oncall], max_duration: 4h}}\n"
        f"enforcement_points: {{launch: POINT}}\n{RULE}"
    )
    known = standing(finding(kev=True))
    for mode, point, action, grant in (
        ("enforce", "inherit", Action.WARN, "g1"),
        ("enforce", "log", Action.LOG, ""),
        ("warn", "inherit", Action.WARN, ""),
        ("audit", "inherit", Action.LOG, ""),
    ):
        site = policy(text.replace("MODE", mode).replace("POINT", point))
        decision = evaluate(site, known, launch(grant=GRANT), NOON)
        assert (decision.action, decision.grant) == (action, grant)
        assert decision.would_be is Action.BLOCK
        assert decision.alarms == (("break_glass",) if grant else ())


# 7. Missing data are neither true nor false.

LACKING = {
    "severity": ('{severity: ">= high"}', {"severity": Severity.UNKNOWN}),
    "not of severity": ('{not: {severity: ">= high"}}', {"severity": Severity.UNKNOWN}),
    "score": ('{cvss: ">= 7.0"}', {}),
    "probability": ('{epss: ">= 0.1"}', {}),
    "publication": ("{published: {for: 30d}}", {}),
    "age of the fix": ("{fix_age: {for: 30d}}", {}),
    "support": ("{support_ended: true}", {}),
}


@pytest.mark.parametrize("name", LACKING)
def test_7_missing_data_leave_a_rule_undecided_unless_it_says_otherwise(name: str) -> None:
    """`skip` names the rule as undecided, `match` counts the finding; neither happens silently."""
    when, fields = LACKING[name]
    known = standing(finding(**fields))
    for word, action, undecided in (("skip", Action.ALLOW, ("a",)), ("match", Action.BLOCK, ())):
        site = policy(f"mode: enforce\nrules: [{{id: a, when: {when}, on_unknown: {word}, action: block}}]\n")
        decision = evaluate(site, known, launch(), NOON)
        assert (decision.action, decision.undecided) == (action, undecided)


@pytest.mark.parametrize("word", ["skip", "match"])
def test_7_missing_clock_is_no_grace_and_no_refusal_in_silence(word: str) -> None:
    """A finding whose date nobody knows counts or is undecided, as the rule says."""
    site = policy(
        "mode: enforce\nrules:\n- {id: a, when: {kev: true}, grace: {after: kev_added, days: 9}, "
        f"on_unknown: {word}, action: block}}\n"
    )
    for text in ("", "soon", "9999-12-31", "2026-02-30"):
        decision = evaluate(site, standing(finding(kev=True, kev_added=text)), launch(), NOON)
        assert (decision.action is Action.BLOCK) is (word == "match"), text
        assert decision.undecided == (() if word == "match" else ("a",)), text


# 8. Facts and decision are apart, and the record names every input.


def test_8_decision_can_be_computed_again_from_what_is_recorded() -> None:
    """Policy digest, verdict digest, generation and clock are in the record; the same inputs give the same answer."""
    fields = set(AuditRecord.__struct_fields__)
    assert {"policy", "verdict", "generation", "time", "facts", "grant", "budget_spent"} <= fields
    site = policy(EVERYTHING.removeprefix(HEAD))
    known = standing(finding(kev=True, kev_added="2026-01-01"))
    first = evaluate(site, known, launch(), NOON)
    assert first.policy_digest == site.digest
    assert evaluate(policy(EVERYTHING.removeprefix(HEAD)), known, launch(), NOON) == first
    assert not any("action" in name for name in Verdict.__struct_fields__)


# 9. Six words of severity, and the bands of CVSS with their borders.


def test_9_severities_are_the_six_words_of_the_scanner() -> None:
    """In their order; `unknown` stands off the scale."""
    words = ["unknown", "negligible", "low", "medium", "high", "critical"]
    assert [severity.name.lower() for severity in Severity] == words
    with pytest.raises(PolicyError, match="is no severity"):
        policy('mode: audit\nrules: [{id: a, when: {severity: ">= important"}, action: log}]\n')


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (0.0, "none"), (0.1, "low"), (3.9, "low"), (4.0, "medium"), (6.9, "medium"),
        (7.0, "high"), (8.9, "high"), (9.0, "critical"), (10.0, "critical"),
    ],
)  # fmt: skip
def test_9_cvss_bands_have_no_hole(score: float, band: str) -> None:
    """Each border belongs to exactly one band; 10.0 is critical, never unknown."""
    bands = {"none": "= 0.0", "low": "< 4.0", "medium": "< 7.0", "high": "< 9.0", "critical": ">= 9.0"}
    floors = {"low": "> 0.0", "medium": ">= 4.0", "high": ">= 7.0"}
    rules = "\n".join(
        f'- {{id: {name}, when: {{all: [{{cvss: "{top}"}}, {{cvss: "{floors.get(name, top)}"}}]}}, action: log}}'
        for name, top in bands.items()
    )
    site = policy(f"mode: enforce\nrules:\n{rules}\n")
    known = standing(finding(cvss=score, scores=(Score("3.1", score),)))
    assert [reason.rule for reason in evaluate(site, known, launch(), NOON).reasons] == [band]


# 10. No language: a closed list of words, and nothing that runs.


def test_10_policies_cannot_compute() -> None:
    """Conditions come from a closed list, hold only their like, and tags, anchors and expressions are errors."""
    assert len(VOCABULARY) < 30
    for text in (
        "when: !!python/object/apply:os.system [id]",
        "when: {expression: 'finding.severity > 3'}",
        "when: {severity: '${SEVERITY}'}",
        "when: {severity: ['>= high', '{{ x }}']}",
        "when: &a {all: [*a]}",
        "when: {any: [kev]}",
    ):
        with pytest.raises(PolicyError, match=r"policy\.yaml:[0-9]+:[0-9]+"):
            policy(f"mode: audit\nrules:\n- id: a\n  {text}\n  action: log\n")
