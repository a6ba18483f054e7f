# SPDX-License-Identifier: Apache-2.0
"""An exception: which vulnerability does not count, where, until when, and who says so."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

from sifgate.model.launch import LaunchEvent
from sifgate.policy.conditions.package import PackageCondition
from sifgate.policy.pathglob import fits_any
from sifgate.policy.schedule import midnight

SCHEMA = "sifgate.exceptions/v1"
FIX_AVAILABLE = "fix_available"
"""The one word of `until`: the exception ends for a finding as soon as that has a fix."""


class ExceptionScope(msgspec.Struct, frozen=True):
    """For which launches an exception holds: every field that is given must fit; names are exact."""

    image_digest: tuple[str, ...] = ()
    """`sha256:…` of whole image files."""
    path: tuple[str, ...] = ()
    """Patterns of the image's path; `**` crosses directories."""
    owner: tuple[str, ...] = ()
    """User names of the image file's owner."""
    user: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()

    def holds(self, launch: LaunchEvent) -> bool:
        """Return whether the launch is one of those meant; what is not known of it does not fit.

        What Slurm says of the job counts only from a peer that may say it (`requester.trusted`).
        """
        requester, job, image = launch.requester, launch.job, launch.image
        return (
            (not self.user or requester.user in self.user)
            and (not self.group or not set(self.group).isdisjoint(requester.groups))
            and (not (self.account or self.partition) or requester.trusted)
            and (not self.account or job.account in self.account)
            and (not self.partition or job.partition in self.partition)
            and (not self.owner or image.owner in self.owner)
            and (not self.image_digest or image.digest in self.image_digest)
            and (not self.path or fits_any(self.path, launch.reference.path))
        )

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of the launch that `holds` looks at."""
        given = {
            "image.digest": self.image_digest,
            "reference.path": self.path,
            "image.owner": self.owner,
            "requester.user": self.user,
            "requester.groups": self.group,
            "job.account": self.account,
            "job.partition": self.partition,
            "requester.trusted": self.account or self.partition,
        }
        return frozenset(name for name, words in given.items() if words)


class PolicyException(msgspec.Struct, frozen=True):
    """One exception as its file states it; whether it is in force depends on the moment."""

    id: str
    reason: str
    author: str
    created: date
    """In force from 00:00 UTC of this day on."""
    expires: date
    """In force to the end of this day, UTC."""
    vulnerabilities: tuple[str, ...] = ()
    """Identifiers of any kind, one of which must be the finding's name or alias; empty: every one in the package."""
    package: PackageCondition | None = None
    """None: in whatever package; never together with empty `vulnerabilities`."""
    scope: ExceptionScope = ExceptionScope()
    approved_by: str = ""
    ticket: str = ""
    until: str = ""
    """Empty, or `fix_available`."""
    justification: str = ""
    """OpenVEX's word, if any."""

    @property
    def begins(self) -> datetime:
        """Return the instant from which it holds."""
        return midnight(self.created)

    @property
    def ends(self) -> datetime | None:
        """Return the instant at which it no longer holds; None beyond the calendar (9999-12-31)."""
        return None if self.expires == date.max else midnight(self.expires + timedelta(days=1))

    def in_force(self, now: datetime) -> bool:
        """Return whether the moment is within its days."""
        ends = self.ends
        return self.begins <= now and (ends is None or now < ends)

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of a launch on which it depends whether the exception holds."""
        fields = self.scope.launch_fields()
        return fields if self.package is None else fields | self.package.launch_fields()
