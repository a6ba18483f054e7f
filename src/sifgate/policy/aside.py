# SPDX-License-Identifier: Apache-2.0
"""Sets findings aside, to be listed and not counted: by VEX, as built in, by exception, in this order; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sifgate.model.decision import Aside
from sifgate.model.finding import Finding
from sifgate.model.launch import LaunchEvent
from sifgate.model.verdict import Verdict
from sifgate.model.vex import VexStatement
from sifgate.policy.document import Policy
from sifgate.policy.exceptions.document import PolicyException
from sifgate.policy.normalise import normalised
from sifgate.policy.suppress import partition

KERNEL_HEADERS = "kernel_headers"
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class SetAside:
    """The findings of a verdict as a policy takes them."""

    findings: Sequence[Finding]
    """All of them, normalised, in the verdict's order."""
    counted: Sequence[Finding]
    """Those that count, in their order."""
    by_vex: Sequence[tuple[Finding, VexStatement]] = ()
    suppressed: Sequence[Finding] = ()
    excepted: Sequence[tuple[Finding, PolicyException]] = ()

    @property
    def hidden(self) -> int:
        """Return how many findings are not counted."""
        return len(self.by_vex) + len(self.suppressed) + len(self.excepted)

    def places(self) -> list[int]:
        """Return where in the verdict the findings stand that are not counted."""
        counted = set(map(id, self.counted))
        return [place for place, finding in enumerate(self.findings) if id(finding) not in counted]

    def by_source(self) -> dict[Aside, list[Finding]]:
        """Return the findings by what set them aside (its count left 0), in the order of evaluation."""
        found: dict[Aside, list[Finding]] = {}
        for finding, statement in self.by_vex:
            found.setdefault(_of_vex(statement), []).append(finding)
        if self.suppressed:
            found[_BUILT_IN] = list(self.suppressed)
        for finding, exception in self.excepted:
            found.setdefault(_of_exception(exception), []).append(finding)
        return found

    def asides(self) -> tuple[Aside, ...]:
        """Return what set findings aside, each with the number of vulnerabilities, in the order of evaluation."""
        return tuple(
            Aside(
                kind=key.kind,
                id=key.id,
                count=len({finding.vulnerability for finding in findings}),
                until=key.until,
                text=key.text,
            )
            for key, findings in self.by_source().items()
        )


_BUILT_IN = Aside(
    kind="suppressed",
    id=KERNEL_HEADERS,
    count=0,
    text="a container never runs the kernel whose headers it holds",
)


def set_aside(policy: Policy, verdict: Verdict, launch: LaunchEvent, now: datetime) -> SetAside:
    """Return which findings of a verdict count for a launch, and what set the others aside."""
    every: Sequence[Finding] = normalised(verdict.findings, policy.severity)
    findings = every
    by_vex: Sequence[tuple[Finding, VexStatement]] = ()
    suppressed: Sequence[Finding] = ()
    excepted: Sequence[tuple[Finding, PolicyException]] = ()
    if policy.vex:
        findings, by_vex = policy.statements.partition(findings, verdict, launch)
    if policy.kernel_headers:
        findings, suppressed = partition(findings, kernel_headers=True)
    if policy.exceptions:
        findings, excepted = policy.active_exceptions.partition(findings, verdict, launch, now)
    return SetAside(every, findings, by_vex, suppressed, excepted)


def _of_vex(statement: VexStatement) -> Aside:
    text = statement.justification or statement.statement or statement.status.value
    return Aside(kind="vex", id=statement.document, count=0, text=text[:MAX_TEXT])


def _of_exception(exception: PolicyException) -> Aside:
    until = exception.expires.isoformat()
    return Aside(kind="exception", id=exception.id, count=0, until=until, text=exception.reason[:MAX_TEXT])
