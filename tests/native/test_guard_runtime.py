# SPDX-License-Identifier: Apache-2.0
"""The guard's level `runtime` with stand-ins for the runtime's files: what is asked, how refusal looks, what hangs."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.cluster.scripted import Step
from tests.fakes.fuse import LyingFileSystem
from tests.native.guard_stage import ALICE, DEADLINE, PLAIN, SLACK, GuardStage

REPOSITORY = Path(__file__).resolve().parents[2]
NOTICE = 'sifgate: launch refused: 2 CVEs (rule "kev")\n  ref    7QX4-19\x1b[31m'
BLOCK: list[Step] = [("decide", "block", {"notice": NOTICE})]
ENGINE = {"ENGINE_CONFIG1": json.dumps({"engineConfig": {"jsonConfig": {"image": "/images/a.sif"}}})}

pytestmark = [pytest.mark.native, pytest.mark.root]


@pytest.fixture
def here(guard_program: Path, tmp_path: Path) -> Iterator[GuardStage]:
    """Return a stage with `starter` (true), `ecl.toml` and `crun` (cat) to watch, the guard not started."""
    stage = GuardStage(guard_program, tmp_path, BLOCK)
    stage.settings += [
        f"starter {stage.place}/starter",
        f"witness {stage.place}/ecl.toml",
        f"oci {stage.place}/crun",
    ]
    with stage:
        for name, program in (("starter", "/bin/true"), ("crun", "/bin/cat")):
            shutil.copy(program, stage.seen / name)
            (stage.seen / name).chmod(0o755)
        (stage.seen / "ecl.toml").write_text("activated = false\n")
        yield stage


def test_the_starter_is_refused_by_the_words_before_it(here: GuardStage) -> None:
    """The agent gets the command line as it was typed, its variables, cwd and pid; the shell says: not permitted."""
    here.start()
    script = f"cd {here.place} && exec {here.place}/starter"
    done = here.run(
        ALICE, "sh", "-c", script, "--", "./a b.sif", env={"APPTAINER_BIND": "/x", "PMIX_RANK": "7"}
    )
    assert done.returncode == 126
    assert "Operation not permitted" in done.stderr
    ask = here.agent.asked[0]
    assert ask.every("arg") == [b"sh", b"-c", script.encode(), b"--", b"./a b.sif"]
    assert (ask.first("door"), ask.number("uid"), ask.first("rank")) == (b"guard", ALICE, b"7")
    assert ask.first("cwd") == bytes(here.place)
    assert ask.number("pid") > 1
    assert b"APPTAINER_BIND=/x" in ask.every("env")


def test_what_the_agent_asks_for_is_opened_as_the_user_would(here: GuardStage) -> None:
    """In the process' namespace, cwd and root, with its ids; /proc/self/fd and /dev/fd are the process' own."""
    (here.seen / "secret").write_bytes(b"root's")
    (here.seen / "secret").chmod(0o600)
    here.put("a.sif", b"alice's")
    paths = [
        "a.sif",
        f"{here.place}/a.sif",
        "/proc/self/fd/9",
        "/dev/fd/9",
        f"{here.place}/secret",
        "none",
        "/dev/fd/8",
    ]
    here.agent.script = [*(("open", path) for path in paths), ("decide", "allow", {})]
    here.start()
    assert here.run(ALICE, "sh", "-c", f"cd {here.place} && exec 9<a.sif && exec ./starter").returncode == 0
    assert [head for _, head in here.agent.opened] == [*[b"alice's"] * 4, b"", b"", b""]
    assert [number for number, _ in here.agent.opened[4:]] == ["13", "2", "2"]


def test_a_launch_below_another_root_is_opened_there(here: GuardStage) -> None:
    """A chroot in the user's own namespaces: names mean what they mean to him."""
    inner = here.seen / "inner"
    (inner / "bin").mkdir(parents=True)
    (inner / "a.sif").write_bytes(b"inner")
    shutil.copy("/bin/busybox" if Path("/bin/busybox").exists() else "/bin/true", inner / "bin/unused")
    here.agent.script = [("open", "/a.sif"), ("decide", "allow", {})]
    here.start()
    program = (
        "import os,sys; f=os.open(sys.argv[1]+'/starter',os.O_PATH); os.chroot(sys.argv[1]+'/inner'); os.chdir('/');"
        "os.execve(f, ['starter'], {})"
    )
    unshared: list[str | Path] = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "/usr/bin/python3",
        "-c",
        program,
        here.place,
    ]
    here.run(ALICE, *unshared)
    assert here.agent.opened[-1] == ("", b"inner")


def test_an_image_that_hangs_when_opened_costs_the_deadline_at_most(here: GuardStage) -> None:
    """A FUSE mount whose server never answers: the agent hears of it, the opener is let go, nothing is left."""
    (here.seen / "hang").mkdir()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    mount = (
        "import ctypes,os,sys; fd=os.open(f'/proc/self/ns/mnt',0);"
        "libc=ctypes.CDLL(None,use_errno=True);"
        "ns=os.open(sys.argv[1],0); assert libc.setns(ns,0x20000)==0;"
        "assert libc.mount(b'hang',sys.argv[2].encode(),b'fuse',6,sys.argv[3].encode())==0"
    )
    namespace = f"/proc/{here.holder.pid}/ns/mnt"
    subprocess.run(
        ["/usr/bin/python3", "-c", mount, namespace, here.place / "hang", options],
        pass_fds=[device],
        check=True,
    )
    try:
        here.agent.script = [("open", f"{here.place}/hang/a.sif"), ("decide", "block", {"notice": NOTICE})]
        here.start()
        began = time.monotonic()
        done = here.run(ALICE, "sh", "-c", f"exec {here.place}/starter")
        assert time.monotonic() - began < DEADLINE + SLACK
        assert done.returncode in {0, 126}
        assert here.agent.opened == [("110", b"")]
    finally:
        os.close(device)


def test_the_witness_ends_a_starter_that_runs_another_image(here: GuardStage) -> None:
    """Allowed by its words, refused by its configuration: SIGKILL before ecl.toml is read."""
    here.agent.script = lambda ask: BLOCK if ask.first("path") else [("decide", "allow", {})]
    here.start()
    script = f"{here.place}/starter && : < {here.place}/ecl.toml; echo survived"
    assert here.run(ALICE, "sh", "-c", script).stdout == "survived\n"
    assert [ask.first("path") for ask in here.agent.asked] == [b""]
    done = here.run(ALICE, "sh", "-c", script, env=ENGINE)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
    assert here.agent.asked[-1].first("path") == b"/images/a.sif"


def test_in_the_setuid_flow_the_user_is_the_one_who_called(here: GuardStage) -> None:
    """A starter that runs as root for alice is judged as alice's, and ended like any other."""
    shutil.copy("/bin/cat", here.seen / "starter-suid")
    (here.seen / "starter-suid").chmod(0o4755)
    here.start()
    words = [here.place / "starter-suid", here.place / "ecl.toml"]
    assert here.run(ALICE, *words).stdout.startswith("activated")
    assert here.run(ALICE, *words, env=ENGINE).returncode == -signal.SIGKILL
    assert [ask.number("uid") for ask in here.agent.asked] == [ALICE]


def test_the_units_capabilities_are_enough(here: GuardStage) -> None:
    """Everything at this level works with what etc/systemd/sifgate-guard.service leaves to it."""
    unit = (REPOSITORY / "etc/systemd/sifgate-guard.service").read_text()
    line = next(line for line in unit.splitlines() if line.startswith("CapabilityBoundingSet="))
    names = [name.removeprefix("CAP_").lower() for name in line.partition("=")[2].split()]
    here.put("a.sif", b"alice's")
    here.agent.script = [("open", f"{here.place}/a.sif"), *BLOCK]
    here.start(prefix=["setpriv", "--bounding-set", ",".join(["-all", *(f"+{name}" for name in names)])])
    assert here.run(ALICE, "sh", "-c", f"exec {here.place}/starter").returncode == 126
    assert here.agent.opened == [("", b"alice's")]
    done = here.run(ALICE, "sh", "-c", f": < {here.place}/ecl.toml; echo survived", env=ENGINE)
    assert done.returncode == -signal.SIGKILL


def test_an_oci_runtime_is_asked_about_by_its_bundle(here: GuardStage) -> None:
    """The root that config.json names, when the runtime opens itself; not when it is started, not for other verbs."""
    bundle = here.seen / "bundle"
    (bundle / "tree").mkdir(parents=True)
    (bundle / "config.json").write_text('{"root": {"path": "tree"}}')
    here.agent.script = [("open", f"{here.place}/bundle/tree"), *BLOCK]
    here.start()
    words = ["run", "--bundle", f"{here.place}/bundle", "c1"]
    listing = f"exec {here.place}/crun /proc/self/exe list >/dev/null"
    assert "list: No such file" in here.run(ALICE, "sh", "-c", listing).stderr
    assert here.agent.asked == []
    done = here.run(ALICE, f"{here.place}/crun", "--", "/proc/self/exe", *words)
    assert "/proc/self/exe: Operation not permitted" in done.stderr
    assert here.agent.asked[0].first("path") == f"{here.place}/bundle/tree".encode()


@pytest.mark.parametrize("feature", ["exec", "pidfd", "signal", "within"])
def test_an_older_kernel_is_made_do(here: GuardStage, feature: str) -> None:
    """Each fallback refuses the starter and ends the witness' process as the feature does."""
    here.start("--without", feature)
    assert here.run(ALICE, "sh", "-c", f"exec {here.place}/starter").returncode == 126
    done = here.run(ALICE, "sh", "-c", f": < {here.place}/ecl.toml; echo survived", env=ENGINE)
    assert done.returncode == -signal.SIGKILL


def test_an_upgraded_runtime_is_marked_again(here: GuardStage) -> None:
    """A package puts another inode under the name; the gap of a second at most is said."""
    here.start()
    shutil.copy("/bin/true", here.seen / "starter.new")
    (here.seen / "starter.new").rename(here.seen / "starter")
    here.wait(lambda: here.said("marked again"))
    assert here.run(ALICE, f"{here.place}/starter").returncode != 0
    assert len(here.agent.asked) == 1


def test_a_launch_of_a_megabyte_is_asked_about(here: GuardStage) -> None:
    """As a sealed memfd; with bytes that are no text."""
    here.start()
    words = ["sh", "-c", f"exec {here.place}/starter", "--", *["x" * 100_000] * 10, os.fsdecode(b"\xff\xfe")]
    assert here.run(ALICE, *words).returncode == 126
    assert here.agent.asked[0].every("arg")[-1] == b"\xff\xfe"


def test_the_notice_reaches_the_terminal_and_nothing_else(here: GuardStage) -> None:
    """Its own terminal, control characters as `?`; a file or another's terminal gets nothing."""
    here.start()
    words = here.inside(ALICE, "sh", "-c", f"exec {here.place}/starter")
    pid, terminal = pty.fork()
    if pid == 0:
        os.fchown(0, ALICE, -1)
        os.execvp(words[0], words)  # noqa: S606 - the child of pty.fork()
    shown = b""
    while b"permitted" not in shown:
        shown += os.read(terminal, 4096)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert b'launch refused: 2 CVEs (rule "kev")\r\n  ref    7QX4-19?[31m\r\n' in shown
    assert shown.index(b"launch refused") < shown.index(b"permitted")
    done = here.run(ALICE, "sh", "-c", f"exec {here.place}/starter 2>{here.place}/out")
    assert "launch refused" not in done.stderr + (here.seen / "out").read_text()


def test_other_programs_cost_nothing(here: GuardStage) -> None:
    """Nothing but the marked files makes an event."""
    here.start()
    path = here.put("plain", PLAIN)
    for _ in range(5):
        assert here.opens(path)
    here.wait(lambda: "asked 0" in here.state.read_text())


def test_a_file_system_that_root_cannot_read_is_not_marked(guard_program: Path, tmp_path: Path) -> None:
    """FUSE needs a test file that the self-test reads through a mark; a local type needs none."""
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    place = tmp_path / "fuse"
    place.mkdir()
    liar = LyingFileSystem(place, PLAIN)
    try:
        flags = ["--config", "/nonexistent", "--probe", "--set", "forget targets", "--set", "level image"]

        def probe(line: str) -> str:
            words = [str(guard_program), *flags, "--set", line]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            return done.stdout

        assert "has no test file" in probe(f"filesystem {place}")
        assert "mode 0600" in probe(f"filesystem {place} {place}/x.sif")
        assert "on another file system" in probe(f"filesystem {place} {_private(tmp_path)}")
    finally:
        liar.close()
    assert f"filesystem  {tmp_path}\n" in probe(f"filesystem {tmp_path}")


def test_a_file_system_of_unknown_type_passes_by_the_self_test(guard_program: Path, tmp_path: Path) -> None:
    """An ordinary user's file of mode 0600 is read through a mark on it alone."""
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    place = tmp_path / "huge"
    place.mkdir()
    lines = ("forget targets", "level image", f"filesystem {place} {place}/x")
    flags = " ".join(["--config /nonexistent --probe", *(f"--set '{line}'" for line in lines)])
    script = (
        f"mount -t hugetlbfs none {place} && : > {place}/x && chown {ALICE} {place}/x && chmod 0600 {place}/x &&"
        f"chmod 0755 {place} && {guard_program} {flags}"
    )
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert f"filesystem  {place}\n" in done.stdout


def _private(tmp_path: Path) -> Path:
    path = tmp_path / "private"
    path.write_bytes(PLAIN)
    path.chmod(0o600)
    os.chown(path, ALICE, ALICE)
    return path
