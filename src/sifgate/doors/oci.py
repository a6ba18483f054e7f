# SPDX-License-Identifier: Apache-2.0
"""The door `oci-hook`: hooks for Podman, Buildah and CRI-O, and a line before the runtime of Slurm's `--container`.

Podman reads `/usr/share/containers/oci/hooks.d` for root and for users unless a `containers.conf` names other
directories; `/etc/containers/oci/hooks.d` is not read by default. A user has a `containers.conf` of his own and
`--hooks-dir`: this door binds who uses the site's configuration, the guard sees the others.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from sifgate.doors import oci_conf, placed
from sifgate.doors.door import LIBEXEC, Door, DoorState
from sifgate.errors import ConfigError

HOOKS = "/usr/share/containers/oci/hooks.d"
PROGRAM = LIBEXEC / "sifgate-ask"
TIMEOUT_S = 60
"""Longer than any launch may wait for its scan (40 s): past it the runtime refuses by itself."""
_CONF = ("/etc/containers/containers.conf", "/usr/share/containers/containers.conf")
_DROP_INS = "/etc/containers/containers.conf.d"
_RUNTIMES = ("podman", "buildah", "crun", "runc", "crio")
_HOOKS_DIR = re.compile(r"^[ \t]*hooks_dir[ \t]*=[ \t]*\[(?P<list>[^\]]*)\]", re.MULTILINE)


def _hook(mode: str, stage: str) -> str:
    """Return a hook as hooks.d wants it (schema 1.0.0)."""
    hook = {
        "version": "1.0.0",
        "hook": {"path": str(PROGRAM), "args": [PROGRAM.name, mode], "timeout": TIMEOUT_S},
        "when": {"always": True},
        "stages": [stage],
    }
    return json.dumps(hook, indent=2) + "\n"


FILES = {"sifgate.json": _hook("oci", "createRuntime"), "sifgate-notice.json": _hook("notice", "poststart")}
"""What lies in the directory: the decision, and the notice of a warning once Podman's user reads what is said."""


class OciHook:
    """Hooks of OCI runtimes."""

    name = "oci-hook"
    summary = "containers of Podman, Buildah, crun and runc, and of Slurm's --container"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of `install`."""
        parser.add_argument(
            "--slurm",
            action="store_true",
            help=f"also before the runtime in {oci_conf.PATH}, for Slurm's --container",
        )

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """Put the hooks in place; a hook without its program would refuse every container."""
        if not placed.is_program(placed.below(tree, PROGRAM)):
            raise ConfigError(f"{PROGRAM}: no such program", hint="install the package sifgate-hooks first")
        slurm = _slurm(tree)
        if chosen.slurm and (slurm is None or not oci_conf.starts_containers(slurm)):
            raise ConfigError(
                f"{oci_conf.PATH}: no RunTimeRun or RunTimeCreate",
                hint="without them Slurm runs --container on the host, not in a container",
            )
        done = [
            f"{HOOKS}/{name}: written"
            for name, text in FILES.items()
            if placed.put(placed.below(tree, HOOKS) / name, text)
        ]
        if chosen.slurm and slurm is not None:
            done += _rewrite(tree, slurm, oci_conf.with_ask(slurm), "asks before the runtime")
        return done

    def remove(self, tree: Path) -> list[str]:
        """Take the hooks away, and the words before Slurm's runtime."""
        done = [f"{HOOKS}/{name}: removed" for name in FILES if placed.take(placed.below(tree, HOOKS) / name)]
        slurm = _slurm(tree)
        if slurm is not None:
            done += _rewrite(tree, slurm, oci_conf.without_ask(slurm), "as it was")
        return done

    def state(self, tree: Path) -> DoorState:
        """Look at the hooks, at what could keep Podman from them, and at Slurm's runtime."""
        there = [name for name in FILES if placed.text_of(placed.below(tree, HOOKS) / name) is not None]
        slurm = _slurm(tree) or ""
        asks = oci_conf.asks(slurm)
        if not there and not asks:
            return self._absent(tree, slurm)
        detail = ", ".join([*([HOOKS] if there else []), *([oci_conf.PATH] if asks else [])])
        problem, remedy = self._problem(tree, there)
        if not problem and oci_conf.starts_containers(slurm) and not asks:
            detail += "; Slurm's --container is judged by the SPANK plugin alone"
        return DoorState(self.name, present=True, detail=detail, problem=problem, remedy=remedy)

    def _absent(self, tree: Path, slurm: str) -> DoorState:
        found = [name for name in _RUNTIMES if (tree / "usr/bin" / name).exists()]
        if not found and not oci_conf.starts_containers(slurm):
            return DoorState(self.name, present=False, detail="no OCI runtime on this node", applicable=False)
        names = ", ".join(found) or oci_conf.PATH
        return DoorState(self.name, present=False, detail=f"not in place, and there is {names}")

    def _problem(self, tree: Path, there: list[str]) -> tuple[str, str]:
        """Return what is wrong and what helps; empty texts where nothing is."""
        if not placed.is_program(placed.below(tree, PROGRAM)):
            missing = f"{PROGRAM} is missing: runtimes refuse every container"
            return missing, f"install the package sifgate-hooks, or `sifgate {self.name} remove`"
        if any(placed.text_of(placed.below(tree, HOOKS) / name) != FILES[name] for name in there):
            return f"{HOOKS}: not the hooks of this version", f"sifgate {self.name} install"
        if there and len(there) < len(FILES):
            return f"{HOOKS}: a hook is missing", f"sifgate {self.name} install"
        conf = next((conf for conf in _configurations(tree) if not _reads_ours(tree, conf)), None)
        if there and conf is not None:
            return f"{conf}: hooks_dir leaves {HOOKS} out", f"add {HOOKS} to hooks_dir there"
        return "", ""


def _slurm(tree: Path) -> str | None:
    """Return Slurm's oci.conf; None where there is none, or where it is a link: to a file that others manage."""
    if placed.below(tree, oci_conf.PATH).is_symlink():
        return None
    return placed.text_of(placed.below(tree, oci_conf.PATH))


def _rewrite(tree: Path, before: str, after: str, what: str) -> list[str]:
    if before == after:
        return []
    path = placed.below(tree, oci_conf.PATH)
    placed.put(path, after, path.stat().st_mode & 0o7777)
    return [f"{oci_conf.PATH}: {what}"]


def _configurations(tree: Path) -> list[str]:
    """Return the site's containers.conf files that are there."""
    drop_ins = placed.below(tree, _DROP_INS)
    names = [*_CONF, *(f"{_DROP_INS}/{path.name}" for path in sorted(drop_ins.glob("*.conf")))]
    return [name for name in names if placed.below(tree, name).is_file()]


def _reads_ours(tree: Path, conf: str) -> bool:
    """Return whether a containers.conf leaves the directory of the hooks in; a commented line changes nothing."""
    found = _HOOKS_DIR.search(placed.text_of(placed.below(tree, conf)) or "")
    return found is None or HOOKS in re.findall(r'"([^"]*)"', found["list"])


DOOR: Door = OciHook()
