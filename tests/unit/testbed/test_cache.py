# SPDX-License-Identifier: Apache-2.0
"""The cache: whole entries or none, built once, refused if others could write it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from testbed import cache
from testbed.errors import TestbedError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty cache."""
    monkeypatch.setenv("SIFGATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_second_request_builds_nothing() -> None:
    """An entry is built on the first request only."""
    calls = []

    def build(work: Path) -> None:
        calls.append(work)
        (work / "f").write_text("x")

    first, second = (cache.obtain("kind", "name", "key", build) for _ in range(2))
    assert first == second
    assert (first / "f").read_text() == "x"
    assert len(calls) == 1


def test_failed_build_leaves_no_entry(own_cache: Path) -> None:
    """An error of the builder is passed on; nothing half-built stays."""

    def build(work: Path) -> None:
        (work / "half").write_text("x")
        raise TestbedError("no")

    with pytest.raises(TestbedError):
        cache.obtain("kind", "name", "key", build)
    assert not list((own_cache / "kind").iterdir())
    assert not list((own_cache / ".building").iterdir())


def test_remains_of_a_killed_build_are_removed(own_cache: Path) -> None:
    """What a killed build left is gone after the next one."""
    remains = own_cache / ".building" / "kind-name-key.1"
    remains.mkdir(parents=True)
    cache.obtain("kind", "name", "key", lambda work: (work / "f").touch())
    assert not remains.exists()


BUILDER = """
import sys, time
from pathlib import Path
from testbed import cache
def build(work):
    print("building", flush=True)
    (work / "f").write_text("x" * 1000)
    time.sleep(0.3)
    (work / "g").write_text("y")
print(sorted(p.name for p in cache.obtain("kind", "name", "key", build).iterdir()))
"""


def test_two_processes_build_once() -> None:
    """Processes that ask at the same time get the same whole entry, built by one of them."""
    running = [
        subprocess.Popen([sys.executable, "-c", BUILDER], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert sum("building" in output for output in outputs) == 1
    assert all("['f', 'g']" in output for output in outputs)


def test_cache_that_others_can_write_is_refused(own_cache: Path) -> None:
    """Root runs programs from the cache, so a directory that others can write is not used."""
    own_cache.mkdir()
    (own_cache / "kind").mkdir()
    (own_cache / "kind").chmod(0o777)
    with pytest.raises(TestbedError, match="0777"):
        cache.obtain("kind", "name", "key", lambda _: None)


@pytest.mark.root
def test_cache_of_another_user_is_refused(own_cache: Path) -> None:
    """An entry that belongs to somebody else is not used."""
    entry = own_cache / "kind" / "name-key"
    entry.mkdir(parents=True)
    os.chown(entry, 12345, 12345)
    with pytest.raises(TestbedError, match="12345"):
        cache.obtain("kind", "name", "key", lambda _: None)


def test_place_follows_the_environment() -> None:
    """SIFGATE_CACHE wins, then an absolute XDG_CACHE_HOME, then the home directory."""
    assert cache.cache_root({"SIFGATE_CACHE": "/c", "HOME": "/h"}) == Path("/c")
    assert cache.cache_root({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/sifgate-testbed")
    assert cache.cache_root({"XDG_CACHE_HOME": "x", "HOME": "/h"}) == Path("/h/.cache/sifgate-testbed")


def test_parts_of_a_recipe_do_not_run_together() -> None:
    """Recipes with the same text, cut differently, have different keys."""
    assert cache.key_of("ab", "c") != cache.key_of("a", "bc")
    assert cache.key_of("ab", b"c") == cache.key_of("ab", "c")
