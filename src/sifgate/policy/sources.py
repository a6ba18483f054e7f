# SPDX-License-Identifier: Apache-2.0
"""All files that a policy is made of, as they were read: stored by the policy's digest, loaded again anywhere."""

from __future__ import annotations

from enum import Enum

import msgspec

from sifgate.policy.settings import Writers


class Role(str, Enum):
    """What a file is read as."""

    POLICY = "policy"
    EXCEPTION = "exception"
    VEX = "vex"


class SourceFile(msgspec.Struct, frozen=True):
    """One file."""

    path: str
    """As it was read, for messages."""
    role: Role
    content: bytes


class PolicySources(msgspec.Struct, frozen=True):
    """The files, in the order in which they are read, and who may write them."""

    files: tuple[SourceFile, ...]
    writable_by: Writers = Writers()
    """Who beside root may own and write files of role `exception` and their directory; all others are root's."""
    exception_directory: str = ""
    """Where exceptions were read from; empty: the policy names no directory."""
    vex_directory: str = ""

    def of(self, role: Role) -> tuple[SourceFile, ...]:
        """Return the files of one role, in order."""
        return tuple(file for file in self.files if file.role is role)
