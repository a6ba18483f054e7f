# SPDX-License-Identifier: Apache-2.0
"""What is asked at submission, whatever the words, the script and the standard input are; under sanitizers."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step

from sifgate.wire import Message

pytestmark = pytest.mark.native
REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK: list[Step] = [("decide", "block", {"notice": "sifgate: launch refused: old\n  why    x"})]
SCRIPT = b"#!/bin/sh\nsrun apptainer exec x.sif true\n"
Asked = Callable[..., tuple[Message | None, subprocess.CompletedProcess[bytes]]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the asking part of the plugin behind a small program."""
    client, spank = REPOSITORY / "plugin/client", REPOSITORY / "plugin/spank"
    program = tmp_path_factory.mktemp("submission") / "driver"
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [Path(__file__).with_name("submission_driver.c"), spank / "foresight.c", spank / "submission.c"]
    words: list[str | Path] = [
        "gcc",
        *flags,
        *sanitizers,
        f"-I{spank}",
        *sources,
        *sorted(client.glob("*.c")),
        "-o",
        program,
    ]
    subprocess.run(words, check=True)
    return program


@pytest.fixture
def asked(program: Path, tmp_path: Path) -> Asked:
    """Return a function that runs the program by a name, with words and input, and returns what the agent was asked."""

    def run(
        *words: str | bytes | Path,
        text: bytes | None = None,
        script: Sequence[Step] = BLOCK,
        executable: Path = program,
        **settings: str,
    ) -> tuple[Message | None, subprocess.CompletedProcess[bytes]]:
        log = tmp_path / "sanitizer"
        environment = {
            "SOCKET": str(tmp_path / "agent.sock"),
            "ASAN_OPTIONS": f"log_path={log}",
            "UBSAN_OPTIONS": f"log_path={log}",
            **settings,
        }
        with ScriptedAgent(tmp_path / "agent.sock", script) as agent:
            done = subprocess.run(
                list(words),
                executable=executable,
                input=b"" if text is None else text,
                capture_output=True,
                env=environment,
                cwd=tmp_path,
                timeout=30,
                check=False,
            )
            end = time.monotonic() + 1  # under sanitizers the child may need longer than the submission waits
            while not agent.asked and time.monotonic() < end:
                time.sleep(0.01)
        assert list(tmp_path.glob("sanitizer*")) == []
        assert done.returncode == 0
        assert len(agent.asked) <= 1
        return (agent.asked[0] if agent.asked else None), done

    return run


def test_the_script_is_found_among_the_options(asked: Asked, tmp_path: Path) -> None:
    """The first word that names a file with #!; its parameters are those that the batch step will have."""
    (tmp_path / "job.sh").write_bytes(SCRIPT)
    (tmp_path / "out.log").write_text("no script")
    ask, _ = asked("sbatch", "-o", "out.log", "-D", "/", "--", "./job.sh", b"\xff\xfe", "")
    assert ask is not None
    assert ask.first("script") == SCRIPT
    assert ask.every("arg") == [b"./job.sh", b"\xff\xfe", b""]
    assert (ask.text("door"), ask.text("reason"), ask.text("cwd")) == ("submit", "because", str(tmp_path))


@pytest.mark.parametrize("settings", [{"READ_FIRST": "1"}, {}], ids=["before", "after"])
def test_standard_input_is_seen_and_left(asked: Asked, settings: dict[str, str]) -> None:
    """Read by the program before or after: the agent gets the script, the program all of it."""
    ask, done = asked("sbatch", "-N1", text=SCRIPT, **settings)
    assert ask is not None
    assert (ask.first("script"), done.stdout) == (SCRIPT, SCRIPT)


def test_input_that_is_no_script_is_left_alone(asked: Asked) -> None:
    """A loop that reads a list and submits in its body loses no line."""
    text = b"one\ntwo\n" * 1000
    ask, done = asked("sbatch", "job.sh", text=text)
    assert ask is not None
    assert (ask.first("script"), done.stdout) == (b"", text)


def test_a_wrapped_command_becomes_a_script(asked: Asked) -> None:
    """As sbatch makes it; `--wrap` without a text is sbatch's to complain about."""
    for words in (["--wrap", "a b"], ["--wrap=a b"]):
        ask, _ = asked("sbatch", *words)
        assert ask is not None
        assert ask.first("script") == b"#!/bin/sh\na b"
    ask, _ = asked("sbatch", "--wrap")
    assert ask is not None
    assert ask.first("script") == b""


def test_only_a_regular_file_is_opened(asked: Asked, tmp_path: Path) -> None:
    """FIFOs, devices, directories, dead links as values of options: nothing hangs, nothing is read from them."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "job.sh").write_bytes(SCRIPT)
    (tmp_path / "link").symlink_to("job.sh")
    ask, _ = asked("sbatch", "-o", "fifo", "-e", "/dev/zero", "-D", ".", "dead", "loop", "", "link")
    assert ask is not None
    assert ask.every("arg") == [b"link"]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_a_long_script_is_cut_where_the_agent_stops_reading(asked: Asked, tmp_path: Path) -> None:
    """256 KiB of it are sent."""
    (tmp_path / "job.sh").write_bytes(SCRIPT + b"# x\n" * 500_000)
    ask, _ = asked("sbatch", "job.sh")
    assert ask is not None
    assert len(ask.first("script")) == 256 << 10


def test_ten_thousand_binds_arrive_and_a_megabyte_is_left_out(asked: Asked) -> None:
    """What is too long to send before a job exists is judged when it starts."""
    ask, _ = asked("srun", "apptainer", "exec", *["-B", "/d:/d"] * 10_000, "x.sif")
    assert ask is not None
    assert len(ask.every("arg")) == 20_004
    ask, done = asked("srun", "apptainer", *["x" * 100_000] * 10)
    assert (ask, done.stderr) == (None, b"")


def test_a_step_and_a_stranger_ask_nothing(asked: Asked) -> None:
    """Srun within a job, and every program that is not one of the three."""
    assert asked("srun", "true", SLURM_JOB_ID="7")[0] is None
    assert asked("scrontab", "x")[0] is None
    assert asked("salloc", "true", SLURM_JOB_ID="7")[0] is not None


def test_no_secret_is_sent(asked: Asked) -> None:
    """The variables that a parser reads, and no others."""
    ask, _ = asked("srun", "x", APPTAINER_BIND="/d", APPTAINER_DOCKER_PASSWORD="hunter2", OTHER="x")
    assert ask is not None
    assert ask.every("env") == [b"APPTAINER_BIND=/d"]


def test_a_notice_without_end_is_cut(asked: Asked) -> None:
    """Eight KiB of it, control characters as question marks."""
    notice = "sifgate: \x1b[31m" + "x" * 60_000
    _, done = asked("sbatch", script=[("decide", "block", {"notice": notice})])
    assert b"\x1b" not in done.stderr
    assert len(done.stderr) < 9000
