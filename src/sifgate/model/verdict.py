# SPDX-License-Identifier: Apache-2.0
"""The cached facts about a fingerprint; never a yes or no."""

from __future__ import annotations

from enum import Enum

import msgspec

from sifgate.model.finding import Finding
from sifgate.model.image import CoverageFacts, OsRelease


class ScanState(str, Enum):
    """What is known of an image; whatever a requester can bring about is one of these (design §2)."""

    KNOWN = "known"
    PENDING = "pending"
    PENDING_EXHAUSTED = "pending_exhausted"
    UNSUPPORTED = "unsupported"
    PARTIAL = "partial"
    INCONSISTENT = "inconsistent"
    STALE = "stale"
    FAILED = "failed"
    UNRESOLVED = "unresolved"
    UNSCANNABLE = "unscannable"


class UnscannableCause(str, Enum):
    """Why an image cannot be scanned."""

    ENCRYPTED = "encrypted"
    MALFORMED = "malformed"
    BOUNDS = "bounds"
    FORMAT = "format"
    FILESYSTEM = "filesystem"
    SANDBOX = "sandbox"


class FailureCause(str, Enum):
    """What failed in the infrastructure; no requester may be able to bring these about."""

    AGENT_UNREACHABLE = "agent_unreachable"
    SERVER_UNREACHABLE = "server_unreachable"
    CLAIR_UNAVAILABLE = "clair_unavailable"
    POLICY_INVALID = "policy_invalid"
    AUDIT_UNWRITABLE = "audit_unwritable"


class Coverage(msgspec.Struct, frozen=True):
    """What the scanner could see; `0 findings` is never shown without it."""

    distribution: str = ""
    """As Clair recognised it, e.g. `Debian GNU/Linux 11 (bullseye)`; empty: none recognised."""
    advisories: bool = False
    """Whether advisories for that distribution were loaded."""
    packages: dict[str, int] = {}
    """Packages that Clair found, by manager."""
    updaters: dict[str, str] = {}
    """Updaters consulted and the date of their data, ISO; where that is unknown, of the newest operation."""
    notes: tuple[str, ...] = ()
    """Sentences for people: what was not seen, and why."""


class EndOfLife(msgspec.Struct, frozen=True):
    """Support dates of the image's distribution, ISO dates, empty where unknown."""

    product: str = ""
    eol: str = ""
    """End of regular support."""
    lts: str = ""
    """End of long-term support; the later of the two is what `distro.eol` means."""
    elts: str = ""
    """End of paid or extended support (ELTS, ESM): counts only where the policy says that the site has it."""


class Generation(msgspec.Struct, frozen=True):
    """One state of the advisory data."""

    id: str = ""
    """Digest over Clair's latest update operations and the feeds' digests."""
    advisories: str = ""
    """ISO time of the newest advisory data: as published where that is known, else as loaded."""
    kev: str = ""
    """Date of the KEV catalogue."""
    eol: str = ""
    """Date of the EOL table."""
    epss: str = ""
    """Date of the EPSS scores."""
    support: str = ""
    """Date of the table of packages whose support has ended."""


class Verdict(msgspec.Struct, frozen=True):
    """What is known about one fingerprint under one generation; immutable, addressed by digest."""

    fingerprint: str
    state: ScanState
    findings: tuple[Finding, ...] = ()
    """Sorted by (vulnerability, package, version, arch, path)."""
    coverage: Coverage = Coverage()
    os_release: OsRelease = OsRelease()
    end_of_life: EndOfLife = EndOfLife()
    facts: CoverageFacts = CoverageFacts()
    clair_version: str = ""
    index_state: str = ""
    generation: Generation = Generation()
    scanned_at: str = ""
    """ISO time, UTC."""
    detail: str = ""
    """For states other than `known`: a sentence that says why."""
    schema: int = 1


class Standing(msgspec.Struct, frozen=True):
    """What the policy judges: a verdict, or the state or cause that stands in its place."""

    state: ScanState | None = None
    cause: FailureCause | None = None
    unscannable: UnscannableCause | None = None
    detail: str = ""
    verdict: Verdict | None = None
    fingerprint: str = ""
    digest: str = ""
    """Digest of the verdict's canonical bytes (`sha256:…`); empty without a verdict."""
