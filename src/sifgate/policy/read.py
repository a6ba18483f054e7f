# SPDX-License-Identifier: Apache-2.0
"""Turns documents into a policy: every key, its type and bounds, and the checks that span keys and files."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sifgate.model.vex import VexStatement
from sifgate.policy.document import SCHEMA, Policy, Rule, Stance, sealed
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.read_rules import read_rules
from sifgate.policy.read_scopes import read_scopes
from sifgate.policy.read_settings import SETTING_KEYS, read_settings
from sifgate.policy.read_stance import STANCE_KEYS, read_stance
from sifgate.policy.read_trust import read_trust
from sifgate.yamlnode import Node, quoted

POLICY_KEYS = ("schema", *STANCE_KEYS, *SETTING_KEYS, "trust", "rules", "scopes")


def policy_from(
    documents: Sequence[Node],
    *,
    exceptions: tuple[PolicyException, ...] = (),
    vex: tuple[VexStatement, ...] = (),
) -> Policy:
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
    for rule, node in rules.values():
        _refuse_loosening(rule, stance, node)
    names = tuple(document.document.name for document in documents)
    policy = settings_of(files, Policy(stance=stance, rules=tuple(rule for rule, _ in rules.values())))
    policy = sealed(
        msgspec.structs.replace(
            policy,
            scopes=read_scopes(files, stance, policy.rules),
            trust=read_trust(files),
            exceptions=exceptions,
            vex=vex,
            files=names,
        )
    )
    if "image.signers" in policy.launch_fields and not policy.signatures.keyring:
        raise documents[0].error('"signed_by" needs the key "signatures": nobody knows whose keys are meant')
    return policy


def settings_of(files: Sequence[dict[str, Node]], policy: Policy) -> Policy:
    """Return the policy with the site-wide settings of all files over it, in order."""
    for fields in files:
        policy = read_settings(fields, policy)
    return policy


def _checked(document: Node) -> dict[str, Node]:
    """Return the keys of one file; looks at the schema first, since another one has other keys."""
    schema = document.mapping().get("schema")
    if schema is not None and schema.text() != SCHEMA:
        raise schema.error(f'expected "{SCHEMA}", got {quoted(schema.text())}')
    return document.mapping(keys=POLICY_KEYS, required=("schema",))


def _refuse_loosening(rule: Rule, stance: Stance, node: Node) -> None:
    """Refuse a rule by which one more vulnerability would loosen the decision."""
    if rule.when.about_findings and rule.action.now < stance.default_action:
        raise node.error(
            f'action "{rule.action.now.word}" is weaker than default_action "{stance.default_action.word}": '
            "one more vulnerability would loosen the decision"
        )
