# SPDX-License-Identifier: Apache-2.0
"""How a recorded decision came about, rule by rule: its own policy, verdict and clock asked again."""

from __future__ import annotations

from datetime import datetime

from sifgate.audit.record import AuditRecord
from sifgate.model.verdict import Standing
from sifgate.policy.document import Policy
from sifgate.policy.trace import Explanation, explain
from sifgate.whatif.recorded import launch_of


def retrace(record: AuditRecord, standing: Standing, policy: Policy) -> Explanation:
    """Return the trace of a record's decision; raises ValueError where the record cannot be understood."""
    moment = datetime.fromisoformat(record.time.replace("Z", "+00:00"))
    return explain(policy, standing, launch_of(record), moment)
