# SPDX-License-Identifier: Apache-2.0
"""Reads the scopes of a policy: for whom something else holds, and what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sifgate.policy.document import Rule, Scope, Stance
from sifgate.policy.read_match import read_match
from sifgate.policy.read_rules import read_identifier
from sifgate.policy.read_schedule import read_schedule
from sifgate.policy.read_stance import STANCE_KEYS, read_stance
from sifgate.policy.scopes import FIELDS
from sifgate.yamlnode import Node, quoted

SCOPE_SETTINGS = (*STANCE_KEYS, "rules")
MAX_SCOPES = 500


def read_scopes(
    files: Iterable[dict[str, Node]], stance: Stance, rules: tuple[Rule, ...]
) -> tuple[Scope, ...]:
    """Return the scopes of all files in order; they start from `stance` and may name `rules`."""
    scopes: dict[str, Scope] = {}
    by_id = {rule.id: rule for rule in rules}
    for fields in files:
        for node in fields["scopes"].sequence(minimum=1, maximum=MAX_SCOPES) if "scopes" in fields else ():
            scope = _scope(node, stance, by_id)
            if scope.id in scopes:
                raise node.mapping()["id"].error(f"the scope id {quoted(scope.id)} is taken")
            scopes[scope.id] = scope
    return tuple(scopes.values())


def _scope(node: Node, stance: Stance, rules: Mapping[str, Rule]) -> Scope:
    fields = node.mapping(keys=("id", "match", "set"), required=("id", "match", "set"))
    settings = fields["set"].mapping(keys=SCOPE_SETTINGS)
    if not settings:
        raise fields["set"].error("the scope is empty: it sets nothing")
    changed = read_stance(settings, stance)
    if "rules" in settings:
        named = settings["rules"].mapping(keys=rules)
        changed = msgspec.structs.replace(changed, rules={k: read_schedule(v) for k, v in named.items()})
    for rule in rules.values():
        _refuse_loosening(rule, changed, fields["set"])
    return Scope(id=read_identifier(fields["id"]), match=read_match(fields["match"], FIELDS), stance=changed)


def _refuse_loosening(rule: Rule, stance: Stance, node: Node) -> None:
    """Refuse a scope in which one more vulnerability would loosen the decision."""
    action = rule.action_in(stance).now
    if rule.when.about_findings and action < stance.default_action:
        raise node.error(
            f'in this scope rule "{rule.id}" ("{action.word}") is weaker than default_action '
            f'"{stance.default_action.word}": one more vulnerability would loosen the decision'
        )
