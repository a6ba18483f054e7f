# SPDX-License-Identifier: Apache-2.0
"""What a policy sets once for the whole site, as frozen values."""

from __future__ import annotations

import msgspec

from sifgate.model.decision import Action
from sifgate.model.finding import Severity
from sifgate.policy.exceptions.limits import ExceptionLimits

SOURCES = ("vex", "distro", "ghsa", "cna", "nvd")
"""Who may rate a vulnerability; no feed brings ratings of VEX authors yet."""
DEFAULT_ORDER = ("distro", "ghsa", "cna", "nvd")
"""The server's own order, by which `Finding.severity` is made."""


class Metadata(msgspec.Struct, frozen=True):
    """What the site calls this policy; shown and recorded, no part of judgement."""

    name: str = ""
    owner: str = ""
    revision: str = ""


class SeveritySettings(msgspec.Struct, frozen=True):
    """Whose rating counts."""

    source_order: tuple[str, ...] = DEFAULT_ORDER
    unknown_as: Severity = Severity.UNKNOWN
    """What a vulnerability counts as that nobody has rated."""

    @property
    def is_default(self) -> bool:
        """Whether `Finding.severity` can be taken as it is."""
        return self.source_order == DEFAULT_ORDER and self.unknown_as is Severity.UNKNOWN


class Limit(msgspec.Struct, frozen=True):
    """From this age on, this action."""

    seconds: int
    action: Action


class Freshness(msgspec.Struct, frozen=True):
    """How old a scan and the advisories may be; by age, no action weaker than the one before it."""

    scan: tuple[Limit, ...] = ()
    advisories: tuple[Limit, ...] = ()


class VexSettings(msgspec.Struct, frozen=True):
    """Where VEX documents are, and whose are believed."""

    directory: str = ""
    """As written: absolute, or from the policy file's directory; empty: none are read."""
    trusted_authors: tuple[str, ...] = ()
    """Exact, or with `*`."""


class Writers(msgspec.Struct, frozen=True):
    """Who beside root may own and write files of a directory; both empty: nobody."""

    user: str = ""
    group: str = ""


class ExceptionSettings(msgspec.Struct, frozen=True):
    """Where exceptions are, and what the site asks of them."""

    directory: str = ""
    """As written: absolute, or from the policy file's directory; empty: none are read."""
    writable_by: Writers = Writers()
    limits: ExceptionLimits = ExceptionLimits()


class SignatureSettings(msgspec.Struct, frozen=True):
    """The keys that `signed_by` means."""

    keyring: str = ""
    """As written: absolute, or from the policy file's directory; OpenPGP public keys."""


class BreakGlass(msgspec.Struct, frozen=True):
    """Who may take a grant under which he is warned and not refused, and for how long."""

    groups: tuple[str, ...]
    max_duration: int
    """Seconds."""
    require_reason: bool = True


class FailOpenBudget(msgspec.Struct, frozen=True):
    """Launches per node and hour that may pass on failure causes, and what is asked for after these."""

    per_hour: int
    then: Action
