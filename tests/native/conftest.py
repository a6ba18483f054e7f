# SPDX-License-Identifier: Apache-2.0
"""The C client behind a small program, compiled with sanitizers once a session."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
