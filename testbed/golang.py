# SPDX-License-Identifier: Apache-2.0
"""The Go sources that need nothing but the standard library: formatted, vetted, linted, tested.

The linter is built once from a committed go.mod and go.sum, and kept in the cache.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from testbed.cache import cache_root, key_of, obtain
from testbed.errors import TestbedError
from testbed.packages import find_program
from testbed.steps import run, step

SOURCES = Path(__file__).resolve().parent.parent / "plugin/apptainer"
LINTER = Path(__file__).resolve().parent / "staticcheck"
PROGRAM = "honnef.co/go/tools/cmd/staticcheck"
LEAST = (1, 21)
"""Of the sources: what the oldest Apptainer with `GetImageArg` and our flags is built by."""


def go_version() -> str:
    """Return the version of the host's Go, "go1.26.8"; raises TestbedError where there is none."""
    found = re.search(r"\bgo\d\S*", _go("version"))
    if found is None:
        raise TestbedError("`go version` says no version")
    return found[0]


def go_root() -> Path:
    """Return where the host's Go lies."""
    return Path(_go("env", "GOROOT").strip())


def go_missing() -> str:
    """Return why nothing can be checked here, "" where it can."""
    if find_program("go") is None:
        return "this host has no Go"
    numbers = tuple(int(part) for part in re.findall(r"\d+", go_version())[:2])
    return "" if numbers >= LEAST else f"{go_version()} is older than the sources"


def go_environment() -> dict[str, str]:
    """Return the variables under which the host's Go runs: objects in the testbed's cache, no other toolchain."""
    own = {
        "GOCACHE": str(cache_root() / "go-objects"),
        "GOENV": "off",
        "GOFLAGS": "-buildvcs=false -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOTELEMETRY": "off",
        "GOWORK": "off",
    }
    return {**os.environ, **own}


def obtain_staticcheck() -> Path:
    """Return the linter, built on first use: a minute, from the Go module proxy; raises TestbedError."""
    pins = b"".join((LINTER / name).read_bytes() for name in ("go.mod", "go.sum"))
    return obtain("staticcheck", "staticcheck", key_of(pins, go_version()), _build) / "staticcheck"


def _build(work: Path) -> None:
    environment = {**go_environment(), "GOMODCACHE": str(work / "modules"), "CGO_ENABLED": "0"}
    words = ["go", "build", "-mod=readonly", "-trimpath", "-o", str(work / "staticcheck"), PROGRAM]
    with step("building staticcheck", 60):
        run(words, work / "build.log", environment, cwd=LINTER)
        run(["go", "clean", "-modcache"], work / "build.log", environment, cwd=LINTER)


def check_go() -> int:
    """Return 0 if the sources are formatted and neither `go vet` nor the linter has a word to say."""
    missing = go_missing()
    if missing:
        print(f"Go: not checked: {missing}", file=sys.stderr)
        return 0
    return max(_formatted(), _said("vet", ["go", "vet", "./..."]), _linted())


def _formatted() -> int:
    left = checked(["gofmt", "-l", "."]).stdout
    print(f"gofmt: {left.split() or 'nothing to do'}", flush=True)
    return int(bool(left))


def _linted() -> int:
    try:
        program = obtain_staticcheck()
    except TestbedError as error:
        print(f"staticcheck: not run: {error}", file=sys.stderr)
        return 0
    return _said("staticcheck", [str(program), "./..."])


def _said(name: str, words: Sequence[str]) -> int:
    done = checked(words)
    print(f"{name}: {(done.stdout + done.stderr).strip() or 'no complaint'}", flush=True)
    return int(done.returncode != 0)


def checked(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Return how a command in the directory of the sources ended."""
    return subprocess.run(
        list(words),
        cwd=SOURCES,
        env=go_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _go(*words: str) -> str:
    program = find_program("go")
    if program is None:
        raise TestbedError("this host has no Go")
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TestbedError(f"go {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout
