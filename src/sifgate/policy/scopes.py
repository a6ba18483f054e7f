# SPDX-License-Identifier: Apache-2.0
"""Which launches a scope is for: user, group, account, partition; only trusted facts match."""

from __future__ import annotations

from operator import attrgetter

import msgspec

from sifgate.model.launch import LaunchEvent

FIELDS = ("user", "group", "account", "partition")


class ScopeMatch(msgspec.Struct, frozen=True):
    """Every field that is given must hold one of its words; names are exact."""

    user: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()

    def holds(self, launch: LaunchEvent) -> bool:
        """Return whether the launch is one of those meant.

        User and groups come from the kernel and the node's name service. What Slurm says of the job counts
        only from a peer that may say it (`requester.trusted`).
        """
        requester = launch.requester
        if self.user and requester.user not in self.user:
            return False
        if self.group and not set(self.group).intersection(requester.groups):
            return False
        if (self.account or self.partition) and not requester.trusted:
            return False
        if self.account and launch.job.account not in self.account:
            return False
        return not self.partition or launch.job.partition in self.partition

    def launch_fields(self) -> frozenset[str]:
        """Return the attributes of the launch that `holds` looks at."""
        given = {
            "requester.user": self.user,
            "requester.groups": self.group,
            "job.account": self.account,
            "job.partition": self.partition,
            "requester.trusted": self.account or self.partition,
        }
        return frozenset(name for name, words in given.items() if words)


def field_value(launch: LaunchEvent, name: str) -> object:
    """Return the attribute of a launch with a name from `launch_fields`."""
    return attrgetter(name)(launch)
