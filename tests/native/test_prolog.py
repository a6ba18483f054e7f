# SPDX-License-Identifier: Apache-2.0
"""The prolog ends with status 0, soon, whatever is wrong; and what it tells the agent."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent

pytestmark = pytest.mark.native
REPOSITORY = Path(__file__).resolve().parents[2]
JOB = {
    "SLURM_JOB_ID": "42",
    "SLURM_JOB_UID": str(os.getuid()),
    "SLURM_JOB_GID": str(os.getgid()),
    "SLURM_JOB_USER": "root",
    "SLURMD_NODENAME": "n1",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_JOB_PARTITION": "debug",
    "SLURM_JOB_ACCOUNT": "lab",
}


def _coded(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a directory with the prolog installed as on a node, its socket and posture beside it."""
    _install(tmp_path, sys.executable)
    return tmp_path


def _install(directory: Path, interpreter: str, *more: str) -> None:
    make: list[str | Path] = [
        "make",
        "-s",
        "-C",
        REPOSITORY / "hooks/slurm",
        "install",
        f"PYTHON={interpreter}",
        "LIMIT=3",
        *more,
    ]
    places = [f"{name}={directory}" for name in ("LIBEXECDIR", "RUNDIR", "SYSCONFDIR")]
    subprocess.run([*make, *places], check=True)


def _run(installed: Path, more: Mapping[str, str] | None = None) -> float:
    """Run the prolog as slurmd does; return how long it took. Its status must be 0."""
    began = time.monotonic()
    done = subprocess.run(
        [installed / "prolog"], env={**JOB, **(more or {})}, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return time.monotonic() - began


def test_the_job_and_its_command_line_reach_the_agent(installed: Path) -> None:
    """Facts from slurmd, words from the job, decoded."""
    words = {
        "SPANK_SIFGATE_ARGV": _coded(b"srun\0apptainer\0exec\0a b\nc.sif\0"),
        "SPANK_SIFGATE_CWD": _coded(b"/data"),
    }
    option = {"SPANK__SLURM_SPANK_OPTION_pyxis_container_image": "docker://x"}
    with ScriptedAgent(installed / "agent.sock", [("decide", "allow", {})]) as agent:
        _run(installed, {**words, **option})
    (ask,) = agent.asked
    assert ask.verb == "prescan"
    assert ask.every("arg") == [b"srun", b"apptainer", b"exec", b"a b\nc.sif"]
    assert ask.every("env") == [b"SPANK__SLURM_SPANK_OPTION_pyxis_container_image=docker://x"]
    facts = {key: ask.text(key) for key in ("door", "job", "node", "nodes", "partition", "account", "cwd")}
    assert facts == {
        "door": "prolog",
        "job": "42",
        "node": "n1",
        "nodes": "2",
        "partition": "debug",
        "account": "lab",
        "cwd": "/data",
    }


@pytest.mark.root
def test_the_image_is_opened_with_the_jobs_ids(installed: Path) -> None:
    """What only root may read stays closed; what the user may read is handed over."""
    (installed / "secret.sif").write_text("secret")
    (installed / "secret.sif").chmod(0o600)
    (installed / "own.sif").write_text("own")
    script = [("open", str(installed / "secret.sif")), ("open", str(installed / "own.sif")), ("open", "a\0b")]
    installed.chmod(0o755)
    for parent in installed.parents:
        if parent.owner() == "root" and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    user = {"SLURM_JOB_UID": "65534", "SLURM_JOB_GID": "65534", "SLURM_JOB_USER": "nobody"}
    with ScriptedAgent(installed / "agent.sock", [*script, ("decide", "allow", {})]) as agent:
        _run(installed, {**user, "SPANK_SIFGATE_ARGV": _coded(b"srun\0x\0")})
    assert agent.opened == [("13", b""), ("", b"own"), ("22", b"")]


HOSTILE = {
    "not base64": {"SPANK_SIFGATE_ARGV": "%%%"},
    "not ASCII": {"SPANK_SIFGATE_ARGV": "é"},
    "giant": {"SPANK_SIFGATE_ARGV": "A" * 100_000},
    "no end": {"SPANK_SIFGATE_ARGV": _coded(b"srun\0apptainer")},
    "relative cwd": {"SPANK_SIFGATE_ARGV": _coded(b"x\0"), "SPANK_SIFGATE_CWD": _coded(b"../..")},
    "python's own variables": {
        "PYTHONPATH": "/nonexistent",
        "PYTHONSTARTUP": "/x",
        "PYTHONHOME": "/nonexistent",
    },
    "no user": {"SLURM_JOB_UID": "nobody", "SPANK_SIFGATE_ARGV": _coded(b"x\0")},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_variables_harm_nothing(installed: Path, name: str) -> None:
    """What the job declared is bounded and decoded, or left out; the status is 0."""
    with ScriptedAgent(installed / "agent.sock", [("open", "/etc/hostname"), ("decide", "block", {})]):
        _run(installed, HOSTILE[name])


def test_no_agent_costs_nothing(installed: Path) -> None:
    """Nobody listens: known at once."""
    assert _run(installed) < 1.5


def test_a_silent_agent_costs_two_seconds(installed: Path) -> None:
    """A hung agent does not hold a job."""
    with ScriptedAgent(installed / "agent.sock", [("sleep", 8)]):
        assert _run(installed) < 4


def test_an_agent_that_talks_rubbish_harms_nothing(installed: Path) -> None:
    """Garbage instead of a turn: status 0."""
    with ScriptedAgent(installed / "agent.sock", [("send", b"\0rubbish")]):
        assert _run(installed) < 2


def test_a_missing_interpreter_harms_nothing(tmp_path: Path) -> None:
    """The interpreter was removed after the install."""
    _install(tmp_path, str(tmp_path / "python-that-was"))
    assert _run(tmp_path) < 1.5


@pytest.mark.parametrize(
    "text", ["def main(:\n", "import nothing_of_that_name\n", "\0", "raise SystemExit(7)\n"]
)
def test_a_broken_program_harms_nothing(installed: Path, text: str) -> None:
    """Syntax error, missing module, wrong exit: status 0."""
    (installed / "prolog.py").write_text(text)
    assert _run(installed) < 2


def test_a_missing_client_harms_nothing(installed: Path) -> None:
    """A half-done upgrade."""
    (installed / "sifgate/wire.py").unlink()
    assert _run(installed) < 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_program_harms_nothing(installed: Path, number: int) -> None:
    """The interpreter dies by a signal."""
    (installed / "prolog.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\n")
    assert _run(installed) < 2


@pytest.mark.parametrize("text", ["import time\ntime.sleep(60)\n", "import os\nos.kill(os.getpid(), 19)\n"])
def test_a_hung_program_is_ended(installed: Path, text: str) -> None:
    """Sleeping, or stopped: ended at the limit of the launcher (3 s here, 8 s installed)."""
    (installed / "prolog.py").write_text(text)
    assert _run(installed) < 6


def test_signals_to_the_launcher_harm_nothing(installed: Path) -> None:
    """An impatient `scancel` sends TERM to the prolog: still status 0."""
    started = installed / "started"
    (installed / "prolog.py").write_text(f"import time\nopen({str(started)!r}, 'w')\ntime.sleep(60)\n")
    with subprocess.Popen([installed / "prolog"], env=JOB) as running:
        while not started.exists():
            assert running.poll() is None
        running.terminate()
        assert running.wait(10) == 0


def _slurm_commands(directory: Path) -> Path:
    """Write stand-ins that note how they were called."""
    for name in ("scontrol", "scancel"):
        path = directory / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {directory}/calls\n')
        path.chmod(0o755)
    return directory / "calls"


@pytest.mark.parametrize(
    ("node", "posture", "cancelled"), [("n1", "yes", "cancelled"), ("n2", "yes", ""), ("n1", "no", "")]
)
def test_one_node_cancels_where_the_policy_wants_it(
    installed: Path, node: str, posture: str, cancelled: str
) -> None:
    """`prolog_refuse`: the first node notifies, sets AdminComment, cancels; others and other policies do nothing."""
    calls = _slurm_commands(installed)
    launcher = installed / "prolog"
    launcher.write_text(launcher.read_text().replace("PATH=/usr/sbin", f"PATH={installed}:/usr/sbin"))
    (installed / "posture").write_text(f"sifgate-posture 1\nprolog_refuse {posture}\n")
    (installed / "posture").chmod(0o644)
    notice = "sifgate: launch refused: \x1b[31mKEV\n  why …"
    with ScriptedAgent(installed / "agent.sock", [("decide", "block", {"notice": notice})]):
        _run(installed, {"SLURMD_NODENAME": node, "SPANK_SIFGATE_ARGV": _coded(b"srun\0x\0")})
    line = "sifgate: launch refused: ?[31mKEV"
    expected = [f"scontrol notify 42 {line}", f"scontrol update jobid=42 admincomment={line}", "scancel 42"]
    assert (calls.read_text().splitlines() if calls.exists() else []) == (expected if cancelled else [])


@pytest.mark.parametrize(
    ("listed", "first"),
    [
        ("n1", "n1"),
        ("n1,n2", "n1"),
        ("n[1-3,7],m1", "n1"),
        ("n[01-03]", "n01"),
        ("r[1-2]c[5,7]", "r1c5"),
        ("", ""),
    ],
)
def test_the_first_node_of_a_host_list(listed: str, first: str) -> None:
    """Slurm's short form of host names."""
    code = f"import prolog; print(prolog.first_node({listed!r}))"
    environment = {
        "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY / 'hooks/slurm'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == first
