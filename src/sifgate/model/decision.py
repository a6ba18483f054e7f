# SPDX-License-Identifier: Apache-2.0
"""The policy applied to a standing, a launch and a moment."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from sifgate.model.finding import Finding


class Action(IntEnum):
    """What is done, weakest first; the worst of all reasons wins."""

    ALLOW = 0
    LOG = 1
    WARN = 2
    BLOCK = 3

    @property
    def word(self) -> str:
        """Return the word of policy files, log and wire: `allow`, `log`, `warn`, `block`."""
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> Action:
        """Return the action that `word` names; raises KeyError for any other word."""
        return cls.__members__[word.upper()]


class Reason(msgspec.Struct, frozen=True):
    """One rule, state or cause that spoke, and what it said."""

    rule: str
    """Rule id; `state:<state>` or `cause:<cause>` where no rule of the site spoke."""
    action: Action
    message: str
    """One sentence for people, without control characters."""
    findings: tuple[Finding, ...] = ()
    """The findings that matched, worst first, at most `MAX_SHOWN`."""
    count: int = 0
    """How many distinct vulnerabilities matched in all."""
    note: str = ""
    """What the site's rule adds in its own words (`message:`)."""
    clock: str = ""
    """What time does to it, in words: `refused from 2026-12-01`, `in grace until 2026-10-14`; empty: nothing."""


MAX_SHOWN = 5
"""Findings kept with a reason: enough for a notice, while the verdict keeps them all."""


class Aside(msgspec.Struct, frozen=True):
    """Findings that are listed and not counted, and what set them aside."""

    kind: str
    """`suppressed` (built in), `vex`, `exception`."""
    id: str
    """`kernel_headers`, the VEX document's id, the exception's id."""
    count: int
    """Distinct vulnerabilities."""
    until: str = ""
    """ISO date at which it ends; empty: none."""
    text: str = ""
    """Reason or justification, one line."""


class Decision(msgspec.Struct, frozen=True):
    """The answer for one launch."""

    action: Action
    """What is done, after the mode's cap."""
    would_be: Action
    """What would have been done in mode `enforce`."""
    reasons: tuple[Reason, ...] = ()
    """Worst first."""
    suppressed: int = 0
    """Findings listed but not counted."""
    mode: str = "audit"
    policy_digest: str = ""
    valid_until: str = ""
    """ISO time of the next instant at which a clock in the evaluation changes; empty: none."""
    contact: str = ""
    scope: str = ""
    """Id of the scope that matched the launch; empty: none."""
    total: int = 0
    """Distinct vulnerabilities that were counted."""
    clearable: int = 0
    """Of these, how many would be gone after an upgrade of all packages that have a fix."""
    undecided: tuple[str, ...] = ()
    """Rules that lacked data for the image or a finding and skipped it, as their `on_unknown` says."""
    aside: tuple[Aside, ...] = ()
    """What was set aside, and by what; `suppressed` is the number of findings of all of them."""
    trust: str = ""
    """Id of the trusted store that the image is in; its rules were not applied."""
    grant: str = ""
    """Id of the break-glass grant without which this launch would have been refused."""
    alarms: tuple[str, ...] = ()
    """What the site wants to be told at once: `break_glass`, `fail_open_budget`."""
