# SPDX-License-Identifier: Apache-2.0
"""The doors: how each lies, and whether a test launch through its own program reaches the agent."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sifgate.config import Places
from sifgate.doctor.agent import ask
from sifgate.doctor.finding import Finding, Health, fine, problem
from sifgate.doors.door import LIBEXEC, DoorState
from sifgate.doors.memory import Memory
from sifgate.doors.runtime import is_wrapper
from sifgate.doors.table import MODULES, find
from sifgate.doors.wrapper import DIRECTORIES, NAMES
from sifgate.errors import ConfigError

LIMIT = 10.0
"""Seconds that a test launch may take."""
SOCKET = Places.of_system().run / "agent.sock"
"""The only one that wrapped programs ask."""
ASK_DOORS = frozenset({"oci-hook", "enroot-hook", "submit"})
"""Doors whose program is `sifgate-ask`."""
_POSTURE = "sifgate-posture 1\nagent_unreachable block\nscan_wait_ms 2000\n"
"""Of the test launch alone: it fails where nobody answers, whatever the node's own posture says."""
_OWN_CALL = 1
"""Connections that asking for the status itself adds."""


def look(tree: Path, socket: Path) -> Iterator[Finding]:
    """Yield a line for each door, with a second one for its test launch where that fails."""
    taken = _disabled(tree)
    present = wanted = 0
    for name in MODULES:
        try:
            state = find(name).state(tree)
        except ConfigError as error:
            yield problem(f"door {name}", str(error), error.hint)
            continue
        present += state.present
        wanted += state.applicable
        yield _lies(name, state, disabled=name in taken)
        if state.present and not state.problem:
            yield from _reaches(name, tree, socket)
    if wanted and not present:
        yield problem("doors", "none is in place: no launch is judged", "sifgate DOOR install")


def _disabled(tree: Path) -> list[str]:
    try:
        return Memory(tree).disabled()
    except OSError:
        return []


def _lies(name: str, state: DoorState, *, disabled: bool) -> Finding:
    subject = f"door {name}"
    if disabled:
        return problem(subject, "taken away by `sifgate disable`", f"sifgate enable {name}")
    if state.problem:
        detail = "; ".join(text for text in (state.problem, state.detail) if text)
        return problem(subject, detail, state.remedy or f"sifgate {name} install")
    if not state.present:
        remedy = (state.remedy or f"sifgate {name} install") if state.applicable else ""
        return Finding(subject, Health.ABSENT, state.detail, remedy)
    return fine(subject, state.detail)


def _reaches(name: str, tree: Path, socket: Path) -> Iterator[Finding]:
    if name in ASK_DOORS:
        yield from _ask_reaches(name, tree, socket)
    elif name == "wrapper":
        yield from _wrapper_reaches(tree, socket)


def _wrapper_reaches(tree: Path, socket: Path) -> Iterator[Finding]:
    """Call the wrapped program for its version, which starts nothing: the agent counts one conversation more."""
    there = tree / SOCKET.relative_to("/")
    programs = [tree / directory.lstrip("/") / name for directory in DIRECTORIES for name in NAMES]
    wrapped = [path for path in programs if is_wrapper(path)]
    before = _accepted(socket)
    if not wrapped or before < 0 or not (there.exists() and there.samefile(socket)):
        return  # a wrapper knows one socket only; that of another root, or without an agent, tells nothing
    words = [f"/{wrapped[0].relative_to(tree)}", "--version"]
    done = _run(words if tree == Path("/") else ["chroot", str(tree), *words])
    if done != 0:
        yield problem("door wrapper", f"{words[0]} --version ends with {done}", "sifgate wrapper install")
    elif _accepted(socket) - before <= _OWN_CALL:
        yield problem("door wrapper", "a test launch does not reach the agent", "see `agent`, `socket`")


def _accepted(socket: Path) -> int:
    """Return how many conversations the agent has taken; -1 where it does not say."""
    status = ask(socket).status
    return int(status["connections"]["accepted"]) if status else -1


def _ask_reaches(name: str, tree: Path, socket: Path) -> Iterator[Finding]:
    """Ask through the door's program about a command that only looks like a launch: answered, never recorded."""
    program = tree / LIBEXEC.relative_to("/") / "sifgate-ask"
    if not program.exists():
        yield problem(f"door {name}", f"{program}: is not there", "install the package sifgate-hooks again")
        return
    with tempfile.TemporaryDirectory(prefix="sifgate-doctor-") as directory:
        posture = Path(directory) / "posture"
        posture.write_text(_POSTURE)
        words = [
            str(program),
            "--socket",
            str(socket),
            "--posture",
            str(posture),
            "submit",
            "--deadline",
            "2000",
        ]
        done = _run([*words, "--", "true", "not-apptainer"])
    if done != 0:
        yield problem(
            f"door {name}", f"a test launch does not reach the agent (exit {done})", "see `agent`, `socket`"
        )


def _run(words: list[str]) -> int:
    """Return the exit code of a test launch, 124 where it does not end."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return 124
    except OSError:
        return 126
    return done.returncode
