# SPDX-License-Identifier: Apache-2.0
"""The policy of an agent that starts with one it cannot load."""

from __future__ import annotations

from sifgate.model.decision import Action
from sifgate.policy.conditions.count import CountCondition
from sifgate.policy.conditions.when import When
from sifgate.policy.document import Policy, Rule, Stance, sealed
from sifgate.policy.schedule import Schedule


def fallback_policy() -> Policy:
    """Return a policy in mode `audit` that logs what is found: no site has asked for more."""
    any_finding = When(image=(CountCondition(over=0),))
    rule = Rule(id="any-finding", when=any_finding, action=Schedule(Action.LOG))
    return sealed(Policy(stance=Stance(), rules=(rule,)))
