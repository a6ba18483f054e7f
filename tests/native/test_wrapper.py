# SPDX-License-Identifier: Apache-2.0
"""The wrapper around a program that tells what it was given: what is asked, what is run, what is said."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step
from tests.fakes.wrapping import ALLOW, BLOCK, NOTICE, WARN, Stage

from sifgate import wire

pytestmark = pytest.mark.native


def test_the_question_holds_what_the_agent_needs(stage: Stage) -> None:
    """Door, words, variables that parsers read, directory, claimed job, rank, deadline, and that it can pull."""
    env = {
        "SLURM_JOB_ID": "77",
        "SLURM_PROCID": "3",
        "APPTAINER_BIND": "/x",
        "APPTAINER_DOCKER_PASSWORD": "p",
        "Y": "1",
    }
    with ScriptedAgent(stage.socket, ALLOW) as agent:
        assert stage.run("exec", "x.sif", "true", env=env).returncode == 0
    (ask,) = agent.asked
    assert ask.every("arg") == [b"apptainer", b"exec", b"x.sif", b"true"]
    assert ask.every("env") == [b"APPTAINER_BIND=/x"]
    facts = {key: ask.text(key) for key in ("door", "job", "rank", "cwd", "can", "deadline_ms", "uid")}
    assert facts == {
        "door": "wrapper", "job": "77", "rank": "3", "cwd": str(stage.place), "can": "pull",
        "deadline_ms": "10000", "uid": "",
    }  # fmt: skip


def test_the_program_gets_exactly_what_the_wrapper_got(stage: Stage) -> None:
    """argv[0], words that are no UTF-8, variables, descriptors, ignored and blocked signals; nothing added."""
    words = [b"exec", b"\xff\xfe.sif", b"a\nb", b""]
    wanted = {signal.SIGHUP, signal.SIGUSR2}

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, wanted)

    read, write = os.pipe()
    with ScriptedAgent(stage.socket, ALLOW):
        done = stage.run(*words, pass_fds=[read, write], preexec_fn=prepare, env={"B": "ü\n"})
    os.close(read)
    os.close(write)
    assert done.returncode == 0, done.stderr
    assert stage.saw("arg") == [b"apptainer", *words]
    assert sorted(stage.saw("env")) == sorted(
        f"{key}={value}".encode() for key, value in stage.environment({"B": "ü\n"}).items()
    )
    assert sorted(map(int, stage.saw("fd"))) == sorted([0, 1, 2, read, write])
    assert {int(number) for number in stage.saw("blocked")} == {int(number) for number in wanted}
    assert str(int(signal.SIGINT)).encode() in stage.saw("ignored")


@pytest.mark.parametrize(("end", "code"), [("0", 0), ("7", 7), ("255", 255), ("s15", -15), ("s9", -9)])
def test_the_end_of_the_program_is_the_end_of_the_launch(stage: Stage, end: str, code: int) -> None:
    """Exit codes and signals arrive as they are."""
    with ScriptedAgent(stage.socket, ALLOW):
        assert stage.run("exec", "x.sif", env={"WITNESS_EXIT": end}).returncode == code


def test_standard_input_is_left_to_the_program(stage: Stage) -> None:
    """Not a byte is taken, even when an image is opened and a notice is shown."""
    with ScriptedAgent(stage.socket, [("open", "none.sif"), *WARN]):
        stage.run("exec", "x.sif", env={"WITNESS_READS": "1"}, input="all of it")
    assert stage.saw("read") == [b"all of it"]


def test_closed_standard_descriptors_stay_closed(stage: Stage) -> None:
    """What is opened meanwhile may get their numbers; nothing is written to it, nothing of it is handed on."""

    def prepare() -> None:
        for fd in (0, 1, 2):
            os.close(fd)

    with ScriptedAgent(stage.socket, [("open", "/etc/hostname"), ("wait", "scanning"), *WARN]) as agent:
        assert stage.run("exec", "x.sif", preexec_fn=prepare).returncode == 0
    assert (len(agent.opened), stage.saw("fd")) == (1, [])


def test_a_refusal_ends_the_launch_with_255(stage: Stage) -> None:
    """As every FATAL of the runtimes; the notice is on standard error, and the program never starts."""
    with ScriptedAgent(stage.socket, BLOCK):
        done = stage.run("exec", "x.sif", "true")
    assert (done.returncode, done.stdout, done.stderr, stage.ran) == (255, "", NOTICE + "\n", False)


@pytest.mark.parametrize(
    ("script", "env", "lines"),
    [
        (BLOCK, {"SLURM_PROCID": "0"}, 3),
        (BLOCK, {"SLURM_PROCID": "1"}, 1),
        (BLOCK, {"SLURM_PROCID": "0", "OMPI_COMM_WORLD_RANK": "2"}, 1),
        (BLOCK, {"PMIX_RANK": "9"}, 1),
        (BLOCK, {"PMIX_RANK": "-9", "SLURM_PROCID": "many"}, 3),
        (WARN, {}, 3),
        (WARN, {"OMPI_COMM_WORLD_RANK": "0"}, 3),
        (WARN, {"OMPI_COMM_WORLD_RANK": "1"}, 0),
        ([("decide", "warn", {"notice": NOTICE, "quiet": "1"})], {}, 0),
        ([("decide", "block", {"notice": NOTICE, "quiet": "1"})], {}, 3),
        ([("wait", "sifgate: scanning"), *ALLOW], {}, 1),
        ([("wait", "sifgate: scanning"), *ALLOW], {"SLURM_PROCID": "4"}, 0),
    ],
)
def test_a_parallel_program_speaks_with_one_voice(
    stage: Stage, script: list[Step], env: dict[str, str], lines: int
) -> None:
    """A warning is rank 0's and shown once; a refusal is every rank's, in one line beside rank 0."""
    with ScriptedAgent(stage.socket, script):
        done = stage.run("exec", "x.sif", env=env)
    assert len(done.stderr.splitlines()) == lines
    if lines == 1 and script is BLOCK:
        assert done.stderr.startswith(f"sifgate: {socket.gethostname()}: launch refused: 2 CVEs")


def test_images_are_opened_where_and_as_the_user_would(stage: Stage) -> None:
    """Relative to the directory that the agent names; a missing one is its errno."""
    (stage.place / "real.sif").write_text("image")
    (stage.place / "one.sif").symlink_to("two.sif")
    (stage.place / "two.sif").symlink_to("real.sif")
    with ScriptedAgent(stage.socket, [("open", "one.sif"), ("open", "none.sif"), *ALLOW]) as agent:
        stage.run("exec", "one.sif")
    assert agent.opened == [("", b"image"), ("2", b"")]


def test_a_launch_of_a_megabyte_is_asked_about_whole(stage: Stage) -> None:
    """10,000 binds and a word of 100 KiB arrive at the agent, and at the program."""
    words = [
        "exec",
        *(f"--bind=/data/{number}:/mnt/{number}" for number in range(10_000)),
        "x.sif",
        "y" * 100_000,
    ]
    with ScriptedAgent(stage.socket, ALLOW) as agent:
        assert stage.run(*words).returncode == 0
    expected = [b"apptainer", *(word.encode() for word in words)]
    assert agent.asked[0].every("arg") == expected
    assert stage.saw("arg") == expected


def test_a_launch_past_every_limit_says_so(stage: Stage) -> None:
    """Beyond 4 MiB only that it was too long is sent; the program gets every word."""
    limits = resource.getrlimit(resource.RLIMIT_STACK)
    words = ["exec", *(f"{number:0100000d}" for number in range(45))]

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, limits[1]))

    with ScriptedAgent(stage.socket, ALLOW) as agent:
        assert stage.run(*words, preexec_fn=prepare).returncode == 0
    assert (agent.asked[0].text("truncated"), agent.asked[0].every("arg")) == ("1", [])
    assert len(stage.saw("arg")) == 47


def test_without_words_nobody_is_asked(stage: Stage) -> None:
    """`apptainer` alone prints its help."""
    with ScriptedAgent(stage.socket, BLOCK) as agent:
        assert stage.run().returncode == 0
    assert (stage.ran, agent.asked) == (True, [])


def test_what_the_runtime_starts_itself_is_not_asked_again(stage: Stage) -> None:
    """For its helpers it runs its own public name: then our parent is the real program."""
    inner = stage.place / "inner"
    env = {"WITNESS_STARTS": str(stage.program), "WITNESS_INNER": str(inner)}
    with ScriptedAgent(stage.socket, ALLOW) as agent:
        assert stage.run("exec", "--unsquash", "x.sif", env=env).returncode == 0
    assert b"arg=inner.sif" in inner.read_bytes().split(b"\0")
    assert [ask.every("arg")[-1] for ask in agent.asked] == [b"x.sif"]


def test_a_program_that_is_missing_is_named(stage: Stage) -> None:
    """Removed behind our back: an error of its own, not a loop."""
    Path(f"{stage.program}.real").unlink()
    with ScriptedAgent(stage.socket, ALLOW):
        done = stage.run("exec", "x.sif")
    assert (done.returncode, done.stderr) == (
        255,
        f"sifgate: cannot run {stage.program}.real: No such file or directory\n",
    )


def test_a_launch_outlasts_the_removal_of_the_door(stage: Stage) -> None:
    """The program is put back while the agent thinks: it is found in its own place."""

    def script(_ask: wire.Message) -> Iterator[Step]:
        Path(f"{stage.program}.real").rename(stage.program)
        yield ("decide", "allow", {})

    with ScriptedAgent(stage.socket, script):  # type: ignore[arg-type]
        assert stage.run("exec", "x.sif").returncode == 0
    assert stage.saw("arg") == [b"apptainer", b"exec", b"x.sif"]


def test_the_judged_file_itself_is_run_where_the_site_wants_it(stage: Stage) -> None:
    """The word becomes the descriptor that the agent has seen, whatever lies under the name by then."""
    image = stage.place / "x.sif"
    image.write_text("judged")
    (stage.built / "run-judged").touch()
    with ScriptedAgent(stage.socket, [("open", str(image)), ("decide", "allow", {"word": "2"})]):
        assert stage.run("exec", "./x.sif", "true").returncode == 0
    name, *rest = stage.saw("arg")[2:]
    assert (name.startswith(b"/proc/self/fd/"), rest) == (True, [b"true"])
    assert name.rpartition(b"/")[2] in stage.saw("fd")


def test_a_judged_file_that_is_gone_is_not_started(stage: Stage) -> None:
    """Replaced before the answer: refused with a notice of its own, and nothing runs."""
    image = stage.place / "x.sif"
    image.write_text("judged")
    (stage.place / "other").write_text("other")
    (stage.built / "run-judged").touch()

    def script(_ask: wire.Message) -> Iterator[Step]:
        yield ("open", str(image))
        (stage.place / "other").rename(image)
        yield ("decide", "allow", {"word": "2"})

    with ScriptedAgent(stage.socket, script):  # type: ignore[arg-type]
        done = stage.run("exec", "x.sif")
    assert (done.returncode, stage.ran) == (255, False)
    assert done.stderr.startswith("sifgate: launch refused: the image was replaced after it was judged\n")


@pytest.mark.parametrize("word", ["", "0", "1", "3", "99"])
def test_a_word_that_is_not_the_image_is_left_alone(stage: Stage, word: str) -> None:
    """Only what was opened under exactly that word is replaced."""
    (stage.place / "x.sif").write_text("judged")
    (stage.built / "run-judged").touch()
    with ScriptedAgent(
        stage.socket, [("open", str(stage.place / "x.sif")), ("decide", "allow", {"word": word})]
    ):
        stage.run("exec", str(stage.place / "x.sif"), "true")
    assert stage.saw("arg")[2] == str(stage.place / "x.sif").encode()
    assert stage.saw("fd") == [b"0", b"1", b"2"]
