# SPDX-License-Identifier: Apache-2.0
"""All checks of lint over one policy."""

from __future__ import annotations

from datetime import datetime

from sifgate.policy.document import Policy
from sifgate.policy.sources import PolicySources
from sifgate.whatif.lint.complaint import Complaint
from sifgate.whatif.lint.exceptions import check_exceptions
from sifgate.whatif.lint.places import Places
from sifgate.whatif.lint.rules import check_rules
from sifgate.whatif.lint.scopes import check_scopes
from sifgate.whatif.lint.vex import check_vex


def lint(
    policy: Policy, sources: PolicySources, now: datetime, used: frozenset[str] | None = None
) -> list[Complaint]:
    """Return what is found, the heaviest first; `used`: ids of exceptions that recorded launches name, if known."""
    places = Places(sources)
    found = [
        *check_rules(policy, places, now),
        *check_scopes(policy, places),
        *check_exceptions(policy, places, now, used),
        *check_vex(policy, sources, places),
    ]
    return sorted(found, key=lambda complaint: -complaint.weight)
