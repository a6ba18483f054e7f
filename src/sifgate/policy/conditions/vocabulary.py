# SPDX-License-Identifier: Apache-2.0
"""The families that a rule's `when` may use."""

from __future__ import annotations

from sifgate.policy.conditions.count import CountCondition
from sifgate.policy.conditions.distro import DistroCondition
from sifgate.policy.conditions.family import Condition
from sifgate.policy.conditions.fixable import FixableCondition
from sifgate.policy.conditions.kev import KevCondition
from sifgate.policy.conditions.package import PackageCondition
from sifgate.policy.conditions.severity import SeverityCondition

FAMILIES: tuple[type[Condition], ...] = (
    SeverityCondition,
    FixableCondition,
    KevCondition,
    PackageCondition,
    CountCondition,
    DistroCondition,
)

VOCABULARY: dict[str, type[Condition]] = {family.key: family for family in FAMILIES}
