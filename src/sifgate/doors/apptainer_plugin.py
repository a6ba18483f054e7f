# SPDX-License-Identifier: Apache-2.0
"""The door `apptainer-plugin`: our Go plugin, compiled in the source tree of the Apptainer that is to load it.

Only an Apptainer that was built from source, with its source still there, loads plugins; packages of distributions do
not (docs/doors/apptainer-plugin.md). What lies where is asked of the runtime itself (`apptainer buildcfg`).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sifgate.doors.apptainer_runtime import PLUGIN, Runtime
from sifgate.doors.door import LIBRARY, DoorState
from sifgate.doors.memory import Memory
from sifgate.errors import ConfigError

NAME = "apptainer-plugin"
PLACE = Path("plugins") / PLUGIN
"""In Apptainer's source tree; the packages of the plugin are imported by this path."""
CHECKOUT = Path(__file__).resolve().parents[3] / "plugin/apptainer"
COMPILE_LIMIT = 3600.0
_UNSUITED = "this Apptainer was not built from source here: it loads no plugins"


class ApptainerPlugin:
    """See `Door`."""

    name = NAME
    summary = "launches of an Apptainer built from source, in its starter"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """See `Door.options`."""
        parser.add_argument(
            "--apptainer",
            default="apptainer",
            metavar="PROGRAM",
            help="the runtime (default: the one on PATH)",
        )
        parser.add_argument(
            "--source",
            default="",
            metavar="DIR",
            help="the source tree it was built in (default: what it says itself)",
        )

    def install(self, tree: Path, chosen: argparse.Namespace) -> list[str]:
        """See `Door.install`; compiles for a minute, with the Go that compiled the runtime."""
        runtime = Runtime(tree, chosen.apptainer)
        runtime.recover()
        source = runtime.source(chosen.source)
        if not source:
            hint = "name the source tree by --source, or use the wrapper: it works with every package"
            raise ConfigError(_UNSUITED, hint=hint)
        wanted = version(sources(tree))
        if runtime.installed() == wanted and runtime.enabled() and not runtime.complaint():
            return []
        _compile(runtime, source, wanted)
        return [f"{NAME}: compiled in {source}, installed and enabled for {runtime.label}"]

    def remove(self, tree: Path) -> list[str]:
        """See `Door.remove`."""
        lines = []
        for runtime in _runtimes(tree):
            if runtime.installed():
                runtime.done("plugin", "uninstall", PLUGIN)
                lines.append(f"{NAME}: uninstalled from {runtime.label}")
        return lines

    def state(self, tree: Path) -> DoorState:
        """See `Door.state`; of several runtimes the first that something is wrong with, else all in one line."""
        states = [_state(runtime) for runtime in _runtimes(tree)]
        if not states:
            return DoorState(NAME, present=False, detail="no Apptainer on this node", applicable=False)
        for state in states:
            if state.problem:
                return state
        there = [state for state in states if state.present]
        detail = "; ".join(state.detail for state in there or states)
        return DoorState(NAME, bool(there), detail, applicable=any(state.applicable for state in states))


def sources(tree: Path) -> Path:
    """Return where the plugin's Go sources lie: in the tree, on this host, in the checkout; raises ConfigError."""
    packaged = LIBRARY / NAME
    for place in (tree / str(packaged).lstrip("/"), packaged, CHECKOUT):
        if (place / "plugin.go").is_file():
            return place
    raise ConfigError(
        f"{packaged}: the sources of the plugin are not there", hint="install the package again"
    )


def version(place: Path) -> str:
    """Return a word that changes whenever what is compiled does."""
    digest = hashlib.sha256()
    for file in _compiled(place):
        digest.update(b"%s\0%s\0" % (str(file.relative_to(place)).encode(), file.read_bytes()))
    return digest.hexdigest()[:12]


def _compiled(place: Path) -> Iterator[Path]:
    """Yield the files that the runtime's module needs: no tests, and no go.mod, which would cut them off from it."""
    yield from (file for file in sorted(place.rglob("*.go")) if not file.name.endswith("_test.go"))


def _compile(runtime: Runtime, source: str, wanted: str) -> None:
    """Compile in a copy inside the source tree, which is removed again, and let the runtime install the result."""
    place, target = sources(runtime.tree), runtime.inside(source) / PLACE
    shutil.rmtree(target, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix="sifgate-plugin-", dir=runtime.inside("var/tmp")))
    within = Path("/") / scratch.relative_to(runtime.tree)
    try:
        for file in _compiled(place):
            copy = target / file.relative_to(place)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        declaration = f'//go:build apptainer_engine\n\npackage main\n\nconst version = "{wanted}"\n'
        (target / "version.go").write_text(declaration)
        environment = os.environ | {
            "GOCACHE": str(within / "objects"),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "TMPDIR": str(within),
        }
        built = str(within / "plugin.sif")
        runtime.done(
            "plugin", "compile", "--out", built, str(Path(source) / PLACE),
            limit=COMPILE_LIMIT, environment=environment,
        )  # fmt: skip
        _own_inode(runtime.home / "object.so")
        runtime.done("plugin", "install", built)
        runtime.done("plugin", "enable", PLUGIN)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
    complaint = runtime.complaint()
    if complaint:
        runtime.done("plugin", "disable", PLUGIN)
        raise ConfigError(f"{runtime.label} does not load the plugin that it compiled: {complaint}")


def _own_inode(file: Path) -> None:
    """Give an installed plugin another inode: an install writes over the file, which running containers have mapped."""
    if file.exists():
        copy = file.with_name("object.so.new")
        shutil.copy2(file, copy)
        copy.replace(file)


def _runtimes(tree: Path) -> list[Runtime]:
    """Return the runtimes that the door was put into, and the one on PATH."""
    parser = argparse.ArgumentParser()
    DOOR.options(parser)
    try:
        remembered = [parser.parse_known_args(words)[0].apptainer for words in Memory(tree).options(NAME)]
    except OSError:
        remembered = []
    found = []
    for program in dict.fromkeys([*remembered, "apptainer"]):
        try:
            found.append(Runtime(tree, program))
        except ConfigError:
            continue
    return found


def _state(runtime: Runtime) -> DoorState:
    there = runtime.installed()
    again = f"sifgate {NAME} install --apptainer {runtime.program}"
    if not there:
        fitting = bool(runtime.source(""))
        detail = f"{runtime.label}: not installed" if fitting else _UNSUITED
        return DoorState(NAME, present=False, detail=detail, applicable=fitting)
    if not runtime.enabled():
        return DoorState(NAME, False, f"{runtime.label}: plugin {there} is there", "it is disabled", again)
    complaint = runtime.complaint()
    if complaint:
        problem = f"{runtime.label} does not load it, so that no container starts: {complaint}"
        return DoorState(
            NAME, True, f"plugin {there}", problem, f"{runtime.program} plugin disable {PLUGIN}; {again}"
        )
    try:
        stale = version(sources(runtime.tree)) != there
    except (ConfigError, OSError):
        stale = False
    problem = "compiled from other sources than are installed now" if stale else ""
    return DoorState(NAME, True, f"{runtime.label}: plugin {there}", problem, again if stale else "")


DOOR = ApptainerPlugin()
