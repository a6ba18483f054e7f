# SPDX-License-Identifier: Apache-2.0
"""The C client behind a small program, compiled with sanitizers once a session."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.asking import Asking, compile_ask
from tests.fakes.wrapping import Stage, compile_wrapper

REPOSITORY = Path(__file__).resolve().parents[2]
Driver = Callable[..., str]


@pytest.fixture(scope="session")
def driver_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled driver."""
    client, spank = REPOSITORY / "plugin/client", REPOSITORY / "plugin/spank"
    program = tmp_path_factory.mktemp("native") / "driver"
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [Path(__file__).parent / "driver.c", *sorted(client.glob("*.c")), spank / "cancel.c"]
    subprocess.run(
        ["gcc", *flags, *sanitizers, f"-I{client}", f"-I{spank}", *sources, "-o", program], check=True
    )
    return program


@pytest.fixture
def driver(driver_program: Path) -> Driver:
    """Return a function that runs the driver and returns its output; a sanitizer's complaint fails the test."""

    def run(*words: str | Path, text: str = "", limit: float = 60) -> str:
        done = subprocess.run(
            [driver_program, *words], input=text, capture_output=True, text=True, timeout=limit, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture(scope="session")
def ask_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return sifgate-ask, compiled with sanitizers; everybody may run it."""
    out = tmp_path_factory.mktemp("ask")
    program = compile_ask(out)
    for parent in (out, *out.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    return program


@pytest.fixture
def asking(ask_program: Path, tmp_path: Path) -> Asking:
    """Return sifgate-ask with a socket and a posture in a directory that everybody may enter."""
    tmp_path.chmod(0o755)
    return Asking(ask_program, tmp_path)


@pytest.fixture(scope="session")
def guard_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the guard, linked as packages link it."""
    out = tmp_path_factory.mktemp("guard")
    words = ["make", "-s", "-C", str(REPOSITORY / "hooks"), f"OUT={out}", f"{out}/sifgate-guard"]
    subprocess.run(words, check=True)
    return out / "sifgate-guard"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the wrapper, which looks for everything there, and the witness."""
    out = tmp_path_factory.mktemp("wrapper")
    compile_wrapper(out)
    return out


@pytest.fixture
def stage(built: Path, tmp_path: Path) -> Stage:
    """Return a stage without agent and posture."""
    (built / "posture").unlink(missing_ok=True)
    (built / "run-judged").unlink(missing_ok=True)
    return Stage(built, tmp_path)
