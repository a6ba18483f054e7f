# SPDX-License-Identifier: Apache-2.0
"""The door `guard`: a service of its own that watches runtimes' files, on wish whole file systems, through fanotify.

::

    /etc/sifgate/guard.conf       lines `key value`; `install` writes it where there is none or options are given
    multi-user.target.wants/      what `systemctl enable` makes: the guard starts at boot
    /run/sifgate/guard.state      how things are, written by the running guard
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sifgate.doors import placed
from sifgate.doors.door import LIBEXEC, Door, DoorState
from sifgate.errors import ConfigError

PROGRAM = LIBEXEC / "sifgate-guard"
CONFIGURATION = "/etc/sifgate/guard.conf"
STATE = "/run/sifgate/guard.state"
UNIT = "sifgate-guard.service"
UNITS = ("/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system")
WANTED = f"/etc/systemd/system/multi-user.target.wants/{UNIT}"
SYSTEMCTL = "/usr/bin/systemctl"
_LIMIT_S = 60
_GAPS = ("undecided", "late", "over_budget", "overflow", "restarts")


class Guard:
    """The service."""

    name = "guard"
    summary = "container starts that no other door sees, by the kernel's word"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of `install`."""
        parser.add_argument(
            "--level",
            choices=("runtime", "image"),
            help="runtime: the runtimes' own files, at no cost; image: every open on the file systems named",
        )
        parser.add_argument(
            "--filesystem",
            action="append",
            default=[],
            metavar="DIR",
            help="level image: mark the file system of DIR, which must be local; may be repeated",
        )

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Write the configuration if asked for or missing, and switch the service on."""
        unit = _unit(tree)
        if unit is None or not placed.is_program(placed.below(tree, PROGRAM)):
            raise ConfigError(
                f"{PROGRAM} and its unit: not here", hint="install the package sifgate-guard first"
            )
        text = _configuration(chosen)
        path = placed.below(tree, CONFIGURATION)
        done = []
        if (text or not path.exists()) and placed.put(path, text or "level runtime\n"):
            done.append(f"{CONFIGURATION}: written")
        if not _is_wanted(tree):
            link = placed.below(tree, WANTED)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(unit)
            done.append(f"{UNIT}: enabled")
        if _is_booted(tree) and (done or _figures(tree) is None):
            _systemctl("daemon-reload")
            _systemctl("restart", UNIT)
            done.append(f"{UNIT}: started")
        return done

    def remove(self, tree: Path) -> list[str]:
        """Switch the service off; its configuration stays for the next time."""
        done = [f"{UNIT}: disabled"] if placed.take(placed.below(tree, WANTED)) else []
        if _is_booted(tree) and _figures(tree) is not None:
            _systemctl("stop", UNIT)
            done.append(f"{UNIT}: stopped")
        return done

    def state(self, tree: Path) -> DoorState:
        """Look at program, unit and what the running guard says of itself."""
        try:
            figures, wanted = _figures(tree), _is_wanted(tree)
            installed = placed.is_program(placed.below(tree, PROGRAM))
        except OSError as error:
            return DoorState(
                self.name, present=False, problem=str(error), remedy=f"sifgate {self.name} install"
            )
        if figures is None:
            return self._idle(installed=installed, wanted=wanted)
        detail = f"level {figures['level']}, {figures['marks']} marks, {figures['denied']} refused"
        gaps = ", ".join(f"{key} {figures[key]}" for key in _GAPS if figures.get(key, "0") != "0")
        if figures.get("ready") != "1" or figures["marks"] == "0":
            return DoorState(
                self.name,
                present=True,
                detail=detail,
                problem="nothing is marked (yet): no launch passes it",
                remedy=f"{PROGRAM} --probe",
            )
        return DoorState(self.name, present=True, detail=f"{detail}; gaps: {gaps}" if gaps else detail)

    def _idle(self, *, installed: bool, wanted: bool) -> DoorState:
        """Return the state where no guard runs."""
        if wanted:
            problem = "switched on, but it does not run" if installed else f"{PROGRAM} is missing"
            remedy = f"systemctl restart {UNIT}" if installed else f"sifgate {self.name} remove"
            return DoorState(self.name, present=False, problem=problem, remedy=remedy)
        detail = "not switched on (opt-in)" if installed else "not installed (opt-in)"
        return DoorState(self.name, present=False, detail=detail, applicable=False)


def _configuration(chosen: argparse.Namespace) -> str:
    """Return the file that the options ask for; empty where none was given."""
    level = getattr(chosen, "level", None)
    places = getattr(chosen, "filesystem", None) or []
    if not level and not places:
        return ""
    level = level or "image"
    if (level == "image") != bool(places):
        raise ConfigError("level image needs --filesystem, level runtime has none")
    lines = [f"level {level}", *(f"filesystem {place}" for place in places)]
    if any(not place.startswith("/") or set(place) & set(" \t\n") for place in places):
        raise ConfigError("--filesystem: an absolute path without blanks is expected")
    return "\n".join(lines) + "\n"


def _unit(tree: Path) -> str | None:
    return next(
        (f"{place}/{UNIT}" for place in UNITS if placed.below(tree, f"{place}/{UNIT}").is_file()), None
    )


def _is_wanted(tree: Path) -> bool:
    return placed.below(tree, WANTED).is_symlink()


def _is_booted(tree: Path) -> bool:
    """Return whether systemd runs in this tree: it is the host's root, and not a container's (sd_booted(3))."""
    return tree.resolve() == Path("/") and Path("/run/systemd/system").is_dir()


def _figures(tree: Path) -> dict[str, str] | None:
    """Return what the running guard says of itself; None where none runs."""
    text = placed.text_of(placed.below(tree, STATE))
    figures = dict(_pairs(text or ""))
    if not {"pid", "level", "marks", "denied"} <= set(figures) or not figures["pid"].isdecimal():
        return None
    name = placed.text_of(Path("/proc") / figures["pid"] / "comm")
    return figures if (name or "").strip() == "sifgate-guard" else None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines()[1:]:
        key, _, value = line.partition(" ")
        yield key, value


def _systemctl(*words: str) -> None:
    """Tell systemd; raises ConfigError with its own words where it will not."""
    try:
        done = subprocess.run(
            [SYSTEMCTL, *words], capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"systemctl {' '.join(words)}: {error}") from error
    if done.returncode != 0:
        raise ConfigError(
            f"systemctl {' '.join(words)}: {done.stderr.strip()}", hint=f"journalctl -u {UNIT} -n 20"
        )


DOOR: Door = Guard()
