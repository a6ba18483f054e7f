# SPDX-License-Identifier: Apache-2.0
"""The words of VEX: OpenVEX's justifications, and what CSAF and CycloneDX say in their place."""

from __future__ import annotations

from sifgate.model.vex import VexStatus

JUSTIFICATIONS = (
    "component_not_present",
    "inline_mitigations_already_exist",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_not_present",
)
"""Of OpenVEX v0.2.0; CSAF's flags are the same five."""

STATUSES = tuple(status.value for status in VexStatus)

CSAF_STATUSES = {
    "known_not_affected": VexStatus.NOT_AFFECTED,
    "fixed": VexStatus.FIXED,
    "first_fixed": VexStatus.FIXED,
    "known_affected": VexStatus.AFFECTED,
    "first_affected": VexStatus.AFFECTED,
    "last_affected": VexStatus.AFFECTED,
    "under_investigation": VexStatus.UNDER_INVESTIGATION,
}
"""`recommended` says nothing of a status."""

CYCLONEDX_STATES = {
    "resolved": VexStatus.FIXED,
    "resolved_with_pedigree": VexStatus.FIXED,
    "exploitable": VexStatus.AFFECTED,
    "in_triage": VexStatus.UNDER_INVESTIGATION,
    "false_positive": VexStatus.NOT_AFFECTED,
    "not_affected": VexStatus.NOT_AFFECTED,
}
