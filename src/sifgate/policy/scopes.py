# SPDX-License-Identifier: Apache-2.0
"""Which launches a scope or a trusted store is for; only trusted facts match."""

from __future__ import annotations

import msgspec

from sifgate.model.launch import LaunchEvent
from sifgate.policy.pathglob import fits_any
from sifgate.policy.points import point_of

JOB_FIELDS = ("account", "partition", "qos", "reservation")
IMAGE_FIELDS = ("path", "owner", "signed_by")
FIELDS = ("user", "group", *JOB_FIELDS, "door", "point", *IMAGE_FIELDS)


class ScopeMatch(msgspec.Struct, frozen=True):
    """Every field that is given must hold one of its words; names are exact, paths are patterns."""

    user: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    reservation: tuple[str, ...] = ()
    door: tuple[str, ...] = ()
    point: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    signed_by: tuple[str, ...] = ()
    """Fingerprints, upper case."""

    def holds(self, launch: LaunchEvent) -> bool:
        """Return whether the launch is one of those meant.

        User and groups come from the kernel and the node's name service, owner and signers from the file itself. What
        Slurm says of the job counts only from a peer that may say it (`requester.trusted`), and so does a path,
        unless the image's owner or signature is asked for too: a claimed path alone loosens nothing.
        """
        requester = launch.requester
        if self.user and requester.user not in self.user:
            return False
        if self.group and not set(self.group).intersection(requester.groups):
            return False
        if self.door and launch.door.value not in self.door:
            return False
        if self.point and point_of(launch.door).value not in self.point:
            return False
        return self._job_fits(launch) and self._image_fits(launch)

    def _job_fits(self, launch: LaunchEvent) -> bool:
        for name in JOB_FIELDS:
            wanted: tuple[str, ...] = getattr(self, name)
            if wanted and not (launch.requester.trusted and getattr(launch.job, name) in wanted):
                return False
        return True

    def _image_fits(self, launch: LaunchEvent) -> bool:
        image = launch.image
        if self.owner and image.owner not in self.owner:
            return False
        if self.signed_by and not set(self.signed_by).intersection(image.signers or ()):
            return False
        if not self.path:
            return True
        believed = launch.requester.trusted or not self._claims_path
        return believed and fits_any(self.path, launch.reference.path)

    @property
    def _claims_path(self) -> bool:
        return bool(self.path) and not (self.owner or self.signed_by)

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of the launch that `holds` looks at."""
        given = {
            "requester.user": self.user,
            "requester.groups": self.group,
            "requester.trusted": self._claims_path or any(getattr(self, name) for name in JOB_FIELDS),
            **{f"job.{name}": getattr(self, name) for name in JOB_FIELDS},
            "door": self.door or self.point,
            "reference.path": self.path,
            "image.owner": self.owner,
            "image.signers": self.signed_by,
        }
        return frozenset(name for name, words in given.items() if words)
