# SPDX-License-Identifier: Apache-2.0
"""Parts die, supervisors die, ports are taken: the engine comes back, and `down` leaves nothing running."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.integration.conftest import RunningEngine, describe, new_root, running, sifgate, start, stop

from sifgate.client import Client
from sifgate.engine import halt, report
from sifgate.engine.report import Report

pytestmark = pytest.mark.engine
PATIENCE = 60.0


@pytest.fixture(scope="module")
def mortal() -> Iterator[RunningEngine]:
    """A whole gate for this module, whose parts may be killed as long as they come back."""
    yield from running()


def until(engine: RunningEngine, wanted: Callable[[Report], bool]) -> Report:
    """Return the first report that is as wanted; fail after a bound."""
    end = time.monotonic() + PATIENCE
    found = None
    while time.monotonic() < end:
        found = report.alive(engine.layout.state_file)
        if found and wanted(found):
            return found
        time.sleep(0.05)
    return pytest.fail(f"not reached in {PATIENCE} s: {found}")


def kill(engine: RunningEngine, name: str) -> int:
    """Kill the process of a part; return its pid."""
    found = report.alive(engine.layout.state_file)
    assert found is not None
    process = found.parts[name].process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    return process.pid


def is_back(name: str, pid: int) -> Callable[[Report], bool]:
    """Return the condition that a part is up in another process than before, and so is the whole engine."""

    def condition(found: Report) -> bool:
        process = found.parts[name].process
        return (
            found.phase == "up"
            and found.parts[name].state == "up"
            and process is not None
            and process.pid != pid
        )

    return condition


@pytest.mark.parametrize("name", ["database", "mirror", "clair", "server", "agent"])
def test_killed_part_is_restarted(mortal: RunningEngine, name: str) -> None:
    """After kill -9 of a part another process takes its place, and Clair still holds its advisories."""
    pid = kill(mortal, name)
    found = until(mortal, is_back(name, pid))
    assert found.parts[name].restarts >= 1
    assert sum(row.count for row in found.advisories) > 57_000


def test_second_up_says_so(mortal: RunningEngine) -> None:
    """A second `up` starts nothing and exits 0."""
    before = report.alive(mortal.layout.state_file)
    done = sifgate(mortal.root, "up")
    after = report.alive(mortal.layout.state_file)
    assert (done.returncode, before is not None) == (0, True)
    assert "is up already" in done.stdout
    assert before is not None
    assert after is not None
    assert after.supervisor == before.supervisor


def test_status_of_a_running_engine(mortal: RunningEngine) -> None:
    """`status` names parts, versions, pids, counts and age, and exits 0."""
    done = sifgate(mortal.root, "status", "--format", "json")
    told = json.loads(done.stdout)
    parts = {part["name"]: part for part in told["parts"]}
    assert done.returncode == 0
    assert parts["database"]["version"].startswith("PostgreSQL 18")
    assert parts["clair"]["version"] == "Clair v4.9.0"
    assert psutil.pid_exists(parts["clair"]["pid"])
    debian = next(row for row in told["advisories"] if row["updater"] == "debian/updater")
    assert debian["count"] == 44_720
    assert debian["age_days"] > 0
    table = sifgate(mortal.root, "status")
    assert "debian/updater" in table.stdout
    assert "44,720" in table.stdout


def test_taken_port_is_left_to_its_thief(mortal: RunningEngine) -> None:
    """Where somebody takes Clair's port before it is back, Clair moves to another one."""
    found = report.alive(mortal.layout.state_file)
    assert found is not None
    host, _, port = found.parts["clair"].address.rpartition(":")
    pid = kill(mortal, "clair")
    with contextlib.closing(_take(host, int(port))):
        moved = until(mortal, is_back("clair", pid))
    assert moved.parts["clair"].state == "up"
    assert describe(mortal.root).clair_url == f"https://{moved.parts['clair'].address}"


def test_agent_learns_where_the_server_went(mortal: RunningEngine) -> None:
    """Where somebody takes the server's port, the server moves and the agent follows it."""
    found = report.alive(mortal.layout.state_file)
    assert found is not None
    host, _, port = found.parts["server"].address.rpartition(":")
    pid = kill(mortal, "server")
    with contextlib.closing(_take(host, int(port))):
        moved = until(mortal, is_back("server", pid))
        new = f"https://{moved.parts['server'].address}"
        assert not new.endswith(f":{port}")
        client = Client(str(mortal.places.run / "agent.sock"))
        end = time.monotonic() + PATIENCE
        while json.loads(client.query("status"))["server"]["url"] != new:
            assert time.monotonic() < end, "the agent still asks the thief"
            time.sleep(0.05)
    assert moved.parts["agent"].process == found.parts["agent"].process, "the agent itself goes on"


def _take(host: str, port: int) -> socket.socket:
    """Return a listener on a port as soon as nobody else has it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        thief = socket.socket()
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            thief.bind((host, port))
            thief.listen()
        except OSError:
            thief.close()
            continue
        return thief
    return pytest.fail(f"port {port} never became free")


def test_up_after_a_killed_supervisor(mortal: RunningEngine) -> None:
    """Parts outlive a killed supervisor; `status` says so and exits 3; the next `up` starts everything anew."""
    before = report.alive(mortal.layout.state_file)
    assert before is not None
    os.kill(before.supervisor.pid, signal.SIGKILL)
    psutil.wait_procs(
        [psutil.Process(before.supervisor.pid)] if psutil.pid_exists(before.supervisor.pid) else []
    )
    told = sifgate(mortal.root, "status", "--format", "json")
    assert told.returncode == 3
    assert json.loads(told.stdout)["phase"] == "unsupervised"
    start(mortal.root, "--advisories-dir", str(mortal.root / "advisories"))
    after = until(mortal, lambda found: found.phase == "up")
    assert after.supervisor != before.supervisor
    assert all(part.process is None or part.process.find() is None for part in before.parts.values())


def test_down_after_a_killed_supervisor() -> None:
    """`down` stops what a killed supervisor has left behind; then `status` exits 3 and a second `down` is no error."""
    root = new_root()
    try:
        engine = start(root, "--without", "server,agent")
        found = report.alive(engine.layout.state_file)
        assert found is not None
        os.kill(found.supervisor.pid, signal.SIGKILL)
        done = sifgate(root, "down")
        assert (done.returncode, done.stdout) == (0, "sifgate: stopped\n")
        assert not halt.leftovers(engine.layout)
        assert not [name for name in _cwd_or_root_users(root) if name]
        assert sifgate(root, "status").returncode == 3
        assert sifgate(root, "down").stdout == "sifgate: was not running\n"
    finally:
        stop(root)


def _cwd_or_root_users(root: Path) -> list[str]:
    """Return command lines of processes that name the engine's directory."""
    found = []
    for process in psutil.process_iter(["cmdline", "pid"]):
        words = process.info["cmdline"] or []
        if any(str(root) in word for word in words) and process.info["pid"] != os.getpid():
            found.append(" ".join(words))
    return found


def test_half_initialised_database_is_made_anew() -> None:
    """What a crash in the middle of initdb leaves is replaced; a directory that is no database is not touched."""
    root = new_root()
    try:
        half = root / "state" / "postgres" / "data.new"
        half.mkdir(parents=True)
        (half / "PG_VERSION").write_text("18\n")
        for parent in (root / "state", root / "state" / "postgres"):
            parent.chmod(0o755)
        start(root, "--without", "mirror,clair,server,agent")
        sifgate(root, "down")
        shutil.rmtree(root / "state" / "postgres" / "data")
        (root / "state" / "postgres" / "data").mkdir()
        done = sifgate(root, "up", "--without", "mirror,clair,server,agent")
        assert done.returncode == 3
        assert "not a database of PostgreSQL" in done.stderr
        assert "hint: move it away" in done.stderr
    finally:
        stop(root)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("up", "--without", "clare"), 3, "no such part"),
        (("up", "--advisories-dir", "/nonexistent"), 3, "not a directory of advisories"),
    ],
)
def test_wrong_arguments(words: tuple[str, ...], code: int, text: str) -> None:
    """Mistakes on the command line are told before anything starts."""
    root = new_root()
    try:
        done = sifgate(root, *words)
        assert (done.returncode, text in done.stderr, "hint:" in done.stderr) == (code, True, True)
        assert not _cwd_or_root_users(root)
    finally:
        stop(root)


def test_configuration_that_others_can_write() -> None:
    """With a configuration of mode 0777 nothing is started."""
    root = new_root()
    try:
        (root / "etc").mkdir()
        file = root / "etc" / "sifgate.yaml"
        file.write_text("engine:\n  advisories: builtin\n")
        file.chmod(0o777)
        done = sifgate(root, "up", "--without", "server,agent")
        assert done.returncode == 2
        assert "others can write it" in done.stderr
        assert not _cwd_or_root_users(root)
    finally:
        stop(root)


def test_own_clair_and_database_start_nothing(mortal: RunningEngine) -> None:
    """A site that names its Clair and its PostgreSQL gets neither of ours."""
    root = new_root()
    try:
        (root / "etc").mkdir()
        psk = root / "etc" / "psk"
        psk.write_bytes(mortal.psk_file.read_bytes())
        psk.chmod(0o600)
        settings = {
            "engine": {
                "clair": {"url": mortal.clair_url, "psk_file": str(psk), "ca_file": str(mortal.ca_file)},
                "database": {"dsn": mortal.dsn},
            }
        }
        (root / "etc" / "sifgate.yaml").write_text(json.dumps(settings))
        done = sifgate(root, "up", "--without", "server,agent")
        assert done.returncode == 0, done.stderr
        found = describe(root)
        told = report.alive(found.layout.state_file)
        assert told is not None
        assert {name: part.state for name, part in told.parts.items()} == {
            "database": "yours", "mirror": "yours", "clair": "yours", "server": "left out", "agent": "left out",
        }  # fmt: skip
        assert found.clair_url == mortal.clair_url
        assert len(_cwd_or_root_users(root)) == 1, "the supervisor alone"
    finally:
        stop(root)


def test_running_under_a_foreign_python_path(mortal: RunningEngine) -> None:
    """Parts ignore PYTHON* variables of whoever calls `up`: their interpreter is isolated."""
    found = report.alive(mortal.layout.state_file)
    assert found is not None
    process = found.parts["mirror"].process
    assert process is not None
    words = psutil.Process(process.pid).cmdline()
    assert words[:3] == [sys.executable, "-I", "-m"]


def test_memory_of_clair_is_bounded(mortal: RunningEngine) -> None:
    """Clair's private memory has a limit, and its collector knows of it."""
    found = report.alive(mortal.layout.state_file)
    assert found is not None
    process = found.parts["clair"].process
    assert process is not None
    limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    assert next(line.split()[3] for line in limits if line.startswith("Max data size")) == str(3072 << 20)
    assert psutil.Process(process.pid).environ()["GOMEMLIMIT"] == "2048MiB"


def test_locks_cannot_be_taken_by_strangers(mortal: RunningEngine) -> None:
    """Whoever can open a lock file can hold the lock and keep `up` from starting: they are private."""
    for lock in mortal.places.run.glob("*.lock"):
        assert lock.stat().st_mode & 0o077 == 0


def test_foreground_for_systemd() -> None:
    """`up --foreground` stays, and ends everything at SIGTERM with status 0."""
    root = new_root()
    try:
        words = [sys.executable, "-m", "sifgate.cli.main", "--root", str(root), "up", "--foreground"]
        words += ["--without", "mirror,clair,server,agent"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            end = time.monotonic() + PATIENCE
            found = None
            while not (found and found.phase == "up"):
                assert time.monotonic() < end
                found = report.alive(root / "run" / "engine.json")
                time.sleep(0.05)
            assert found.supervisor.pid == child.pid
            child.terminate()
            assert child.wait(timeout=PATIENCE) == 0
        assert not _cwd_or_root_users(root)
    finally:
        stop(root)
