# SPDX-License-Identifier: Apache-2.0
"""The door `enroot-hook`: a script in Enroot's `hooks.d`, which also Pyxis comes through.

Enroot runs `/etc/enroot/hooks.d/*.sh` at `enroot start`, as the user, in his new user and mount namespaces, before it
switches the root; anything but 0 ends the start. `ENROOT_SYSCONF_PATH` leads a user who calls Enroot himself to other
hooks; under Pyxis that variable does not count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sifgate.doors import placed
from sifgate.doors.door import LIBEXEC, Door, DoorState
from sifgate.errors import ConfigError

HOOK = "/etc/enroot/hooks.d/50-sifgate.sh"
PROGRAM = LIBEXEC / "sifgate-ask"
SCRIPT = f"""\
#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Enroot: asks the agent of this node before the container starts; anything but 0 ends the start.
exec {PROGRAM} enroot
"""


class EnrootHook:
    """Hook of Enroot."""

    name = "enroot-hook"
    summary = "containers of Enroot, and so of Pyxis"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add no option."""

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Put the script in place; one without its program would end every start."""
        del chosen
        if not placed.is_program(placed.below(tree, PROGRAM)):
            raise ConfigError(f"{PROGRAM}: no such program", hint="install the package sifgate-hooks first")
        return [f"{HOOK}: written"] if placed.put(placed.below(tree, HOOK), SCRIPT, 0o755) else []

    def remove(self, tree: Path) -> list[str]:
        """Take the script away."""
        return [f"{HOOK}: removed"] if placed.take(placed.below(tree, HOOK)) else []

    def state(self, tree: Path) -> DoorState:
        """Look at the script and its program."""
        text = placed.text_of(placed.below(tree, HOOK))
        if text is None:
            installed = (tree / "usr/bin/enroot").exists()
            detail = "not in place, and there is Enroot" if installed else "no Enroot on this node"
            return DoorState(self.name, present=False, detail=detail, applicable=installed)
        problem, remedy = "", ""
        if not placed.is_program(placed.below(tree, PROGRAM)):
            problem = f"{PROGRAM} is missing: Enroot starts no container"
            remedy = f"install the package sifgate-hooks, or `sifgate {self.name} remove`"
        elif text != SCRIPT or not placed.is_program(placed.below(tree, HOOK)):
            problem, remedy = f"{HOOK}: not the script of this version", f"sifgate {self.name} install"
        return DoorState(self.name, present=True, detail=HOOK, problem=problem, remedy=remedy)


DOOR: Door = EnrootHook()
