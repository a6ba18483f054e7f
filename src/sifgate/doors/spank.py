# SPDX-License-Identifier: Apache-2.0
"""The door `spank`: one line in plugstack.conf, written only after the installed Slurm has loaded the plugin.

A plugin for each supported series lies in /usr/lib/sifgate/spank/SERIES/sifgate.so. Packages install this door again
after every change of Slurm: then the line names the plugin of the new series, or, where none fits, is taken out. A line
that Slurm cannot load would break every step if it were `required`.
"""

from __future__ import annotations

import argparse
import subprocess
import syslog
from pathlib import Path

from sifgate import fsguard
from sifgate.doors import slurm
from sifgate.doors.door import LIBRARY, Door, DoorState
from sifgate.doors.placed import below, take
from sifgate.doors.plugstack import Line, Plugstack
from sifgate.errors import ConfigError

PLUGINS = LIBRARY / "spank"
ARGUMENTS = ("socket", "posture", "scancel", "timing")
"""What the plugin takes behind its name, each an absolute path."""


class Spank:
    """The SPANK plugin."""

    name = "spank"
    summary = "steps of Slurm, and what srun, sbatch and salloc say at submission"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of `install`."""
        need = parser.add_mutually_exclusive_group()
        need.add_argument(
            "--optional",
            dest="need",
            action="store_const",
            const="optional",
            help="steps start without the plugin where it cannot be loaded: for a burn-in (default, or as it is)",
        )
        need.add_argument(
            "--required",
            dest="need",
            action="store_const",
            const="required",
            help="no step starts without the plugin",
        )
        parser.add_argument(
            "--argument",
            dest="arguments",
            action="append",
            type=_argument,
            metavar="KEY=PATH",
            help=f"for the plugin: {', '.join(ARGUMENTS)} (default: as it is)",
        )

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Name the plugin of the installed series; with none that fits, take our line out and raise ConfigError."""
        stack = Plugstack(tree)
        before = stack.written()
        try:
            here = _found(tree)
            line = _wished(here, before, chosen)
            _check(here, stack, line)
        except ConfigError as error:
            raise _taken_out(stack, before, error) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigError(
                f"spank: Slurm could not be asked whether it loads the plugin: {error}; nothing was changed",
                hint="run `sifgate spank install` again",
            ) from error
        said = stack.include()
        if stack.write(line):
            said.append(f"{stack.place}: {line} (Slurm {here.version} has loaded it)")
        return said

    def remove(self, tree: Path) -> list[str]:
        """Take the line away; one that somebody wrote elsewhere becomes a comment."""
        stack = Plugstack(tree)
        said = []
        for line in stack.ours():
            if line.file.is_relative_to(slurm.CONFIGLESS):
                raise ConfigError(
                    f"the controller's plugstack.conf has the line `{line}`", hint="take it out there"
                )
            if line.file != stack.place:
                stack.comment_out(line)
                said.append(f"{line.file}: `{line}` is a comment now")
        if take(below(tree, stack.place)):
            said.append(f"{stack.place}: removed")
        return said

    def state(self, tree: Path) -> DoorState:
        """Look at the line and have it loaded."""
        try:
            return _state(tree)
        except (ConfigError, OSError, subprocess.SubprocessError, UnicodeError) as error:
            return DoorState(
                self.name,
                present=False,
                problem=str(error),
                remedy="sifgate spank install, once this is put right",
            )


def _argument(text: str) -> str:
    """Return KEY=PATH as it stands in plugstack.conf, where neither blank nor `#` can be written."""
    key, _, path = text.partition("=")
    if key not in ARGUMENTS or not path.startswith("/") or any(sign in text for sign in "# \t\n"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not one of {'= '.join(ARGUMENTS)}= with an absolute path"
        )
    return text


def _found(tree: Path) -> slurm.Slurm:
    here = slurm.find(tree)
    if here is None:
        raise ConfigError("spank: there is no Slurm (no srun)", hint="install Slurm's client programs")
    return here


def _wished(here: slurm.Slurm, before: Line | None, chosen: argparse.Namespace) -> Line:
    need = chosen.need or (before.need if before else "optional")
    arguments = chosen.arguments
    if arguments is None:
        arguments = before.arguments if before else ()
    return Line(need, str(_plugin(here.series)), tuple(arguments))


def _plugin(series: str) -> Path:
    return PLUGINS / series / "sifgate.so"


def _check(here: slurm.Slurm, stack: Plugstack, line: Line) -> None:
    """Raise ConfigError where the line would not do what it should."""
    plugin = below(here.tree, line.plugin)
    if not plugin.is_file():
        have = ", ".join(sorted(path.parent.name for path in below(here.tree, PLUGINS).glob("*/sifgate.so")))
        raise ConfigError(
            f"spank: no plugin for Slurm {here.series} in {PLUGINS} (there: {have or 'none'})",
            hint="upgrade sifgate's packages, or build it: make -C plugin SLURM_INCLUDE=DIR",
        )
    if here.tree == Path("/"):
        fsguard.check(plugin)
    if why := here.loads(Path(line.plugin)):
        raise ConfigError(f"spank: Slurm {here.version} does not load {line.plugin}: {why}")
    others = [other for other in stack.ours() if other.file != stack.place]
    if others:
        raise ConfigError(
            f"spank: {others[0].file} already has the line `{others[0]}`: each step would be asked about twice",
            hint="remove that line, or run `sifgate spank remove` first",
        )


def _taken_out(stack: Plugstack, before: Line | None, error: ConfigError) -> ConfigError:
    """Return the error to raise; where our line is in force and its plugin does not load, it is taken out first."""
    if before is None or not stack.in_force() or _still_loads(stack, before):
        return error
    stack.take_out(before, str(error))
    text = (
        f"{error}; `{before}` was TAKEN OUT of {stack.place}: launches of Slurm are not judged on this node"
    )
    if stack.tree == Path("/"):
        syslog.openlog("sifgate", 0, syslog.LOG_AUTH)
        syslog.syslog(syslog.LOG_ALERT, text)
        syslog.closelog()
    return ConfigError(text, hint=error.hint or "put this right, then run `sifgate spank install` again")


def _still_loads(stack: Plugstack, line: Line) -> bool:
    """Return whether the line in force does no harm: some other thing kept the install from its end."""
    try:
        here = slurm.find(stack.tree)
    except ConfigError:
        return False
    return here is not None and below(stack.tree, line.plugin).is_file() and not here.loads(Path(line.plugin))


def _state(tree: Path) -> DoorState:
    here = slurm.find(tree)
    if here is None:
        return DoorState("spank", present=False, detail="no Slurm on this node", applicable=False)
    stack = Plugstack(tree)
    lines, written = stack.ours(), stack.written()
    if lines:
        return _state_of(here, lines)
    if written is not None and not stack.in_force():
        why = "not included by plugstack.conf" if not stack.included() else "taken out of force"
        return DoorState(
            "spank",
            present=False,
            problem=f"{stack.place}: `{written}` is {why}",
            remedy="sifgate spank install",
        )
    return DoorState("spank", present=False, detail=f"no line in plugstack.conf (Slurm {here.version})")


def _state_of(here: slurm.Slurm, lines: list[Line]) -> DoorState:
    line = lines[0]
    detail = f"{line} in {line.file} (Slurm {here.version})"
    if len(lines) > 1:
        problem = f"two lines: {lines[0].file}, {lines[1].file}"
        return DoorState("spank", True, detail, problem, f"remove `{lines[1]}` from {lines[1].file}")
    if why := here.loads(Path(line.plugin)):
        return DoorState("spank", False, detail, why, "sifgate spank install")
    return DoorState("spank", True, detail)


DOOR: Door = Spank()
