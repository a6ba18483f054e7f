# SPDX-License-Identifier: Apache-2.0
"""The node's cache: survives what happens to nodes, and believes nothing that was changed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import zstandard
from tests.fakes.agent import RunningAgent, eventually, settled_file
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

from sifgate.agent import cache as cache_module
from sifgate.agent.cache import Cache, digest_of
from sifgate.errors import UnsafeFile
from sifgate.model.verdict import ScanState

FINGERPRINT = "ab" * 32
Start = Callable[..., RunningAgent]


def opened(directory: Path, *, boot: str = "boot-1", limit: int = 1 << 20) -> Cache:
    """Return the cache in a directory."""
    return Cache(directory / "cache" / "verdicts.sqlite", boot=boot, limit_bytes=limit)


def stored(cache: Cache, fingerprint: str = FINGERPRINT) -> None:
    """Store a verdict with a finding."""
    verdict = bad_verdict(fingerprint)
    body = msgspec.json.encode(verdict)
    cache.store(body, verdict, digest_of(body))


def test_verdict_survives_restart(tmp_path: Path) -> None:
    """What was stored is there after closing and opening, findings and all."""
    cache = opened(tmp_path)
    stored(cache)
    cache.close()
    cache = opened(tmp_path)
    known = cache.recall(FINGERPRINT)
    assert known is not None
    assert known.footing.state is ScanState.KNOWN
    assert cache.load(FINGERPRINT) == bad_verdict(FINGERPRINT)
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    cache.close()


def test_verdict_survives_power_loss(tmp_path: Path) -> None:
    """A file copied while the agent runs, with its write-ahead log, opens and holds the verdict."""
    cache = opened(tmp_path)
    stored(cache)
    (tmp_path / "after" / "cache").mkdir(parents=True)
    (tmp_path / "after" / "cache").chmod(0o700)
    for file in (tmp_path / "cache").iterdir():
        if not file.name.endswith("-shm"):
            (tmp_path / "after" / "cache" / file.name).write_bytes(file.read_bytes())
    cache.close()
    after = opened(tmp_path / "after")
    assert after.thrown_away == ""
    assert after.load(FINGERPRINT) is not None
    after.close()


@pytest.mark.parametrize("damage", ["text", "cut", "middle", "version"])
def test_damaged_file_is_thrown_away(tmp_path: Path, damage: str) -> None:
    """A file that is no database, was cut, scribbled into, or is of another format, is begun anew."""
    cache = opened(tmp_path)
    for number in range(200):
        stored(cache, f"{number:064x}")
    cache.close()
    path = tmp_path / "cache" / "verdicts.sqlite"
    content = path.read_bytes()
    if damage == "text":
        path.write_bytes(b"not a database " * 1000)
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "middle":
        path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    else:
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    cache = opened(tmp_path)
    assert cache.thrown_away
    assert len(cache) == 0
    stored(cache)
    assert cache.load(FINGERPRINT) is not None
    cache.close()


def test_changed_verdict_is_not_believed(tmp_path: Path) -> None:
    """Bytes that do not have their digest any more are forgotten, not judged by."""
    cache = opened(tmp_path)
    stored(cache)
    clean = zstandard.ZstdCompressor().compress(msgspec.json.encode(clean_verdict(FINGERPRINT)))
    with sqlite3.connect(cache.path) as database:
        database.execute("UPDATE verdicts SET body = ?", (clean,))
    database.close()
    assert cache.load(FINGERPRINT) is None
    assert cache.recall(FINGERPRINT) is None
    cache.close()


def test_cache_stays_within_its_bytes(tmp_path: Path) -> None:
    """The least recently used verdicts go when there is no room."""
    cache = opened(tmp_path, limit=3000)
    for number in range(50):
        stored(cache, f"{number:064x}")
    assert 0 < len(cache) < 20
    assert cache.recall(f"{49:064x}") is not None
    assert cache.recall(f"{0:064x}") is None
    cache.close()


def test_index_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory holds so many entries and no more."""
    monkeypatch.setattr(cache_module, "INDEX_LIMIT", 5)
    cache = opened(tmp_path)
    for number in range(10):
        stored(cache, f"{number:064x}")
    assert len(cache) == 5
    cache.close()


def test_files_of_another_boot_are_dropped(tmp_path: Path) -> None:
    """Mount ids mean nothing after a reboot, so neither does what was kept under them."""
    cache = opened(tmp_path)
    cache.keep_file((1, 2, 3), FINGERPRINT, float("inf"))
    cache.keep_file((4, 5, 6), FINGERPRINT, time.time() + 60)
    assert {key for key, _, _ in cache.files()} == {(1, 2, 3), (4, 5, 6)}
    cache.close()
    cache = opened(tmp_path, boot="boot-2")
    assert cache.files() == []
    cache.close()


def test_directory_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    """The cache's directory is the agent's alone."""
    (tmp_path / "cache").mkdir(mode=0o755)
    (tmp_path / "cache").chmod(0o755)
    with pytest.raises(UnsafeFile):
        opened(tmp_path)


def test_restarted_agent_knows_its_images(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """After a restart neither the image is read nor the server asked."""
    server.finding = bad_verdict
    image = settled_file(tmp_path / "x.sif", b"x")
    agent = start()
    assert agent.action(image) == "block"
    agent.stop()
    agent.stop = lambda: None  # type: ignore[method-assign]  # stopped already
    calls = len(server.calls)
    again = start()
    assert again.action(image) == "block"  # the first ask after a start judges the mount in a thread
    assert again.worker.runs == 0
    assert len(server.calls) == calls


def test_newer_verdict_is_fetched_behind_the_launch(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """A verdict in use is asked for again after a while; the launch that notices does not wait for it."""
    from sifgate.config import AgentSettings

    agent = start(agent=AgentSettings(refresh_after=0.0))
    image = settled_file(tmp_path / "x.sif", b"x")
    assert agent.action(image) == "allow"
    (fingerprint,) = server.verdicts
    server.know(bad_verdict(fingerprint))
    assert agent.action(image) == "allow"
    eventually(lambda: agent.action(image) == "block")


def test_verdict_that_nobody_confirms_becomes_stale(start: Start, server: FakeServer, tmp_path: Path) -> None:
    """Without a word from the server for long enough, a verdict's state is `stale`; its findings still count."""
    from sifgate.config import AgentSettings

    server.finding = bad_verdict
    agent = start(agent=AgentSettings(stale_after=0.0))
    image = settled_file(tmp_path / "x.sif", b"x")
    agent.ask(image)
    server.close()
    assert agent.action(image) == "block"
    assert agent.records()[-1].state == "stale"
    server.close = lambda: None  # type: ignore[method-assign]  # closed already
