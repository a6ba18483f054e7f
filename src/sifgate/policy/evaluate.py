# SPDX-License-Identifier: Apache-2.0
"""Applies a policy to a standing, a launch and a moment; pure; gate, CLI, report and tests all use this one."""

from __future__ import annotations

from datetime import datetime

from sifgate.model.decision import Decision
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Standing
from sifgate.policy.document import Policy
from sifgate.policy.judgement import judge


def evaluate(policy: Policy, standing: Standing, launch: LaunchEvent, now: datetime) -> Decision:
    """Return the decision at `now`, which must know its time zone (ValueError otherwise)."""
    return judge(policy, standing, launch, now).decision
