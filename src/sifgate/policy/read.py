# SPDX-License-Identifier: Apache-2.0
"""Turns documents into a policy: every key, its type and bounds, and the checks that span keys and files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from sifgate.policy.document import SCHEMA, Policy, Rule, Stance, sealed
from sifgate.policy.read_rules import read_rules
from sifgate.policy.read_scopes import read_scopes
from sifgate.policy.read_stance import STANCE_KEYS, read_stance
from sifgate.yamlnode import Node, quoted

MAX_SCAN_WAIT = timedelta(seconds=40)
"""Slurm bears 40 s in the plugin's place before it takes the step for lost."""
MAX_PASSES = 1000
POLICY_KEYS = (
    "schema",
    *STANCE_KEYS,
    "contact",
    "scan_wait",
    "pending_passes",
    "prolog_refuse",
    "suppress",
    "rules",
    "scopes",
)


def policy_from(documents: Sequence[Node]) -> Policy:
    """Return the policy that the documents state together, in order; raises their error class."""
    files = [_checked(document) for document in documents]
    if not any("mode" in fields for fields in files):
        raise documents[0].error('the key "mode" is missing: audit, warn or enforce')
    stance = Stance()
    for fields in files:
        stance = read_stance(fields, stance)
    rules = read_rules(files)
    if not rules:
        raise documents[0].error("the policy has no rules")
    names = tuple(document.document.name for document in documents)
    policy = Policy(stance=stance, rules=tuple(rule for rule, _ in rules.values()), files=names)
    for fields in files:
        policy = _settings(fields, policy)
    for rule, node in rules.values():
        _refuse_loosening(rule, stance, node)
    return sealed(msgspec.structs.replace(policy, scopes=read_scopes(files, stance, policy.rules)))


def _checked(document: Node) -> dict[str, Node]:
    """Return the keys of one file; looks at the schema first, since another one has other keys."""
    schema = document.mapping().get("schema")
    if schema is not None and schema.text() != SCHEMA:
        raise schema.error(f'expected "{SCHEMA}", got {quoted(schema.text())}')
    return document.mapping(keys=POLICY_KEYS, required=("schema",))


def _settings(fields: dict[str, Node], policy: Policy) -> Policy:
    """Return the policy with the settings of one file over it."""
    changes: dict[str, object] = {}
    if "contact" in fields:
        changes["contact"] = fields["contact"].text(maximum=200)
    if "scan_wait" in fields:
        changes["scan_wait"] = fields["scan_wait"].duration(maximum=MAX_SCAN_WAIT).total_seconds()
    if "pending_passes" in fields:
        changes["pending_passes"] = fields["pending_passes"].integer(minimum=0, maximum=MAX_PASSES)
    if "prolog_refuse" in fields:
        changes["prolog_refuse"] = fields["prolog_refuse"].boolean()
    if "suppress" in fields:
        inner = fields["suppress"].mapping(keys=("kernel_headers",))
        if "kernel_headers" in inner:
            changes["kernel_headers"] = inner["kernel_headers"].boolean()
    return msgspec.structs.replace(policy, **changes)


def _refuse_loosening(rule: Rule, stance: Stance, node: Node) -> None:
    """Refuse a rule by which one more vulnerability would loosen the decision."""
    if rule.when.about_findings and rule.action < stance.default_action:
        raise node.error(
            f'action "{rule.action.word}" is weaker than default_action "{stance.default_action.word}": '
            "one more vulnerability would loosen the decision"
        )
