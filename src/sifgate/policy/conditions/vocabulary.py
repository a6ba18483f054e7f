# SPDX-License-Identifier: Apache-2.0
"""The families that a rule's `when` may use."""

from __future__ import annotations

from sifgate.policy.conditions.advisories_age import AdvisoriesAgeCondition
from sifgate.policy.conditions.count import CountCondition
from sifgate.policy.conditions.coverage import CoverageCondition
from sifgate.policy.conditions.cve import CveCondition
from sifgate.policy.conditions.cvss import CvssCondition
from sifgate.policy.conditions.distro import DistroCondition
from sifgate.policy.conditions.epss import EpssCondition
from sifgate.policy.conditions.family import Condition
from sifgate.policy.conditions.first_seen import FirstSeenCondition
from sifgate.policy.conditions.fix_age import FixAgeCondition
from sifgate.policy.conditions.fixable import FixableCondition
from sifgate.policy.conditions.image_age import ImageAgeCondition
from sifgate.policy.conditions.kev import KevCondition
from sifgate.policy.conditions.owner import OwnerCondition
from sifgate.policy.conditions.package import PackageCondition
from sifgate.policy.conditions.published import PublishedCondition
from sifgate.policy.conditions.scan_age import ScanAgeCondition
from sifgate.policy.conditions.scan_state import ScanStateCondition
from sifgate.policy.conditions.severity import SeverityCondition
from sifgate.policy.conditions.signed_by import SignedByCondition
from sifgate.policy.conditions.support_ended import SupportEndedCondition
from sifgate.policy.conditions.tree import AllCondition, AnyCondition, NotCondition

FAMILIES: tuple[type[Condition], ...] = (
    SeverityCondition,
    FixableCondition,
    KevCondition,
    CvssCondition,
    EpssCondition,
    CveCondition,
    PackageCondition,
    PublishedCondition,
    FixAgeCondition,
    FirstSeenCondition,
    SupportEndedCondition,
    CountCondition,
    DistroCondition,
    ImageAgeCondition,
    ScanAgeCondition,
    AdvisoriesAgeCondition,
    ScanStateCondition,
    CoverageCondition,
    OwnerCondition,
    SignedByCondition,
    AllCondition,
    AnyCondition,
    NotCondition,
)

VOCABULARY: dict[str, type[Condition]] = {family.key: family for family in FAMILIES}
