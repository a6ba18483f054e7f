# SPDX-License-Identifier: Apache-2.0
"""Reads the rules of a policy."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sifgate.policy.conditions.when import When, parse_when
from sifgate.policy.document import Rule
from sifgate.policy.grace import Clock, Grace
from sifgate.policy.read_schedule import read_schedule
from sifgate.yamlnode import Node, quoted

MAX_RULES = 500
MAX_MESSAGE = 300
MAX_GRACE = 3660
RULE_KEYS = ("id", "when", "action", "message", "on_unknown", "grace")
RESERVED = ("content_injected", "default_action")
"""Names under which the evaluator itself gives reasons."""
CLOCKS = tuple(clock.value for clock in Clock)
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


def read_identifier(node: Node) -> str:
    """Return the id of a rule or scope: what notices, records and commands name it by."""
    word = node.text()
    if not _IDENTIFIER.fullmatch(word):
        raise node.error(f"expected an id of a-z, 0-9, '.', '_' and '-' (at most 63), got {quoted(word)}")
    if word in RESERVED:
        raise node.error(f"the id {quoted(word)} is taken by sifgate itself")
    return word


def read_rules(files: Iterable[dict[str, Node]]) -> dict[str, tuple[Rule, Node]]:
    """Return the rules of all files by id, in order, each with the place where it is written."""
    rules: dict[str, tuple[Rule, Node]] = {}
    for fields in files:
        for node in fields["rules"].sequence(minimum=1, maximum=MAX_RULES) if "rules" in fields else ():
            rule = _rule(node)
            if rule.id in rules:
                first = rules[rule.id][1]
                where = f"{first.document.name}:{first.line}"
                raise node.mapping()["id"].error(f"the rule id {quoted(rule.id)} is taken ({where})")
            rules[rule.id] = (rule, node)
    return rules


def _rule(node: Node) -> Rule:
    fields = node.mapping(keys=RULE_KEYS, required=("id", "when", "action"))
    on_unknown = fields["on_unknown"].choice(("skip", "match")) if "on_unknown" in fields else "skip"
    when = parse_when(fields["when"])
    return Rule(
        id=read_identifier(fields["id"]),
        when=when,
        action=read_schedule(fields["action"]),
        message=fields["message"].text(maximum=MAX_MESSAGE) if "message" in fields else "",
        unknown_counts=on_unknown == "match",
        grace=_grace(fields["grace"], when) if "grace" in fields else None,
    )


def _grace(node: Node, when: When) -> Grace:
    fields = node.mapping(keys=("after", "days"), required=("after", "days"))
    if not when.about_findings:
        raise node.error("the rule asks nothing about findings, so none of them can be in grace")
    return Grace(
        after=Clock(fields["after"].choice(CLOCKS)),
        days=fields["days"].integer(minimum=1, maximum=MAX_GRACE),
    )
