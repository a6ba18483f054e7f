# SPDX-License-Identifier: Apache-2.0
"""The door `submit`: what a user is told when he submits, and, where a site wants that, a refusal there.

The telling is part of the SPANK plugin. Refusing needs Slurm's Lua plugins: `job_submit` in the controller, which no
client evades, or `cli_filter` in the client. Both look up through sifgate-ask, and warn until the site says `REFUSE =
true`. A Lua file that slurm.conf names must not vanish (slurmctld would not start): taken away, this door is switched
off.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import msgspec

from sifgate.doors import slurm
from sifgate.doors.door import Door, DoorState
from sifgate.doors.placed import below, put, take, text_of
from sifgate.doors.plugstack import Plugstack
from sifgate.errors import ConfigError

SOURCE = Path("/usr/share/sifgate/slurm")
MODULE = SOURCE / "sifgate.lua"
SWITCH = "/etc/sifgate/submit.off"
_WHY = "Made by `sifgate submit remove`: nothing is said or refused at submission as long as this file is here.\n"


class Filter(msgspec.Struct, frozen=True):
    """One of Slurm's Lua plugins."""

    file: str
    key: str
    value: str

    def wanted(self) -> str:
        """Return the line that slurm.conf needs."""
        return f"{self.key}={self.value}"

    def named(self, tree: Path) -> bool:
        """Return whether slurm.conf loads it."""
        words = [word.strip() for value in slurm.settings(tree, self.key) for word in value.split(",")]
        return any(word in {self.value, self.value.rpartition("/")[2]} for word in words)

    def place(self, tree: Path) -> Path:
        """Return where Slurm reads it, as it is inside the tree."""
        return slurm.configuration(tree) / self.file

    def asks(self, tree: Path) -> bool:
        """Return whether the file that Slurm reads calls ours."""
        return str(MODULE) in (text_of(below(tree, self.place(tree))) or "")


FILTERS = {
    "job_submit": Filter("job_submit.lua", "JobSubmitPlugins", "lua"),
    "cli_filter": Filter("cli_filter.lua", "CliFilterPlugins", "cli_filter/lua"),
}


class Submit:
    """The answer at submission."""

    name = "submit"
    summary = "jobs of Slurm as they are submitted: told what their launch would meet"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of `install`."""
        parser.add_argument(
            "--job-submit",
            dest="filters",
            action="append_const",
            const="job_submit",
            help="place job_submit.lua, on the controller",
        )
        parser.add_argument(
            "--cli-filter",
            dest="filters",
            action="append_const",
            const="cli_filter",
            help="place cli_filter.lua, where users submit",
        )

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Place the wanted Lua files and say what slurm.conf lacks; one of the site's own is not touched."""
        filters = [FILTERS[name] for name in chosen.filters or ()]
        if not filters and not Plugstack(tree).ours():
            raise ConfigError("submit: the SPANK plugin is not in place", hint="sifgate spank install")
        placed = [(each, _source(tree, each)) for each in filters]
        said = [f"{SWITCH}: removed"] if take(below(tree, SWITCH)) else []
        for each, text in placed:
            if not each.asks(tree) and put(below(tree, each.place(tree)), text):
                said.append(f"{each.place(tree)}: placed; it warns until it says REFUSE = true")
            if not each.named(tree):
                said.append(f"slurm.conf of the cluster needs: {each.wanted()}")
        return said

    def remove(self, tree: Path) -> list[str]:
        """Switch it off, where there is anything to be switched off; the Lua files stay."""
        if not Plugstack(tree).ours() and not _asking(tree):
            return []
        return [f"{SWITCH}: made, nothing is said at submission"] if put(below(tree, SWITCH), _WHY) else []

    def state(self, tree: Path) -> DoorState:
        """Look at plugin, Lua files and switch."""
        try:
            return _state(tree)
        except (ConfigError, OSError, subprocess.SubprocessError) as error:
            return DoorState(self.name, present=False, problem=str(error))


def _source(tree: Path, wanted: Filter) -> str:
    """Return the text to place; raises ConfigError where there is none, or a file of the site's own is in its place."""
    text = text_of(below(tree, SOURCE / wanted.file))
    if text is None or text_of(below(tree, MODULE)) is None:
        raise ConfigError(
            f"submit: {SOURCE / wanted.file} is not there", hint="install the package sifgate-spank"
        )
    if text_of(below(tree, wanted.place(tree))) is not None and not wanted.asks(tree):
        raise ConfigError(
            f"submit: {wanted.place(tree)} is the site's own",
            hint=f"merge {SOURCE / wanted.file} into it, as docs/doors/slurm.md shows",
        )
    return text


def _asking(tree: Path) -> list[Filter]:
    return [each for each in FILTERS.values() if each.asks(tree)]


def _state(tree: Path) -> DoorState:
    asking = _asking(tree)
    idle = [each for each in asking if not each.named(tree)]
    doors = [each.file for each in asking if each not in idle]
    if Plugstack(tree).ours():
        doors.insert(0, "the SPANK plugin")
    if not slurm.has_client(tree):
        return DoorState("submit", present=False, detail="no Slurm on this node", applicable=False)
    if idle:
        problem = f"{idle[0].place(tree)} is there, but slurm.conf does not load it"
        return DoorState("submit", bool(doors), "", problem, f"slurm.conf: {idle[0].wanted()}")
    if doors and below(tree, SWITCH).exists():
        return DoorState("submit", present=False, detail=f"switched off by {SWITCH}")
    return DoorState(
        "submit", present=bool(doors), detail=", ".join(doors) or "the SPANK plugin is not in place"
    )


DOOR: Door = Submit()
