# SPDX-License-Identifier: Apache-2.0
"""What every door can do, for `sifgate DOOR install|remove|status`, `sifgate disable` and `sifgate doctor`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Protocol

import msgspec

LIBEXEC = Path("/usr/libexec/sifgate")
"""Where packages put the programs of the doors (`sifgate-wrapper`, `sifgate-ask`, `sifgate-guard`, `prolog`)."""
LIBRARY = Path("/usr/lib/sifgate")
"""Where packages put the agent's environment and the plugins for each series of Slurm."""


class DoorState(msgspec.Struct, frozen=True):
    """How one door lies on this node."""

    name: str
    """Word of the design: `spank`, `prolog`, `wrapper`, `apptainer-plugin`, `oci-hook`, `enroot-hook`, `guard`."""
    present: bool
    """Whether launches pass it."""
    detail: str = ""
    """One line: what lies where, or why it is not there (`no Podman on this node`)."""
    problem: str = ""
    """Why it does not work as it lies; empty: it does."""
    remedy: str = ""
    """One command or sentence against the problem."""
    applicable: bool = True
    """False where the host has no program that this door belongs to: nothing to do, no complaint."""


class Door(Protocol):
    """One door. `tree` is the root of the file system it is done in: `/`, or a chroot that is being prepared.

    `install` and `remove` are idempotent, return one line for each thing that they did (none: nothing was to do) and
    raise ConfigError, having changed nothing, where it cannot be done.
    """

    name: str
    summary: str
    """Half a line for `--help`."""

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of `install`."""

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Put the door in place."""

    def remove(self, tree: Path) -> list[str]:
        """Take the door away; launches go on as if it had never been there."""

    def state(self, tree: Path) -> DoorState:
        """Look at the door; never raises, never changes anything."""
