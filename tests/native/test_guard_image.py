# SPDX-License-Identifier: Apache-2.0
"""The guard's level `image` on a tmpfs: who is judged, who is not, and what is seen again after it changed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from testbed.cluster.scripted import Step
from tests.native.guard_stage import ALICE, BOB, IMAGE, PLAIN, GuardStage, Script

BLOCK: list[Step] = [("open", "/x"), ("decide", "block", {"notice": "sifgate: launch refused"})]
ALLOW: list[Step] = [("open", "/x"), ("decide", "allow", {})]

pytestmark = [pytest.mark.native, pytest.mark.root]


class MakeStage(Protocol):
    """What the fixture `stage` returns."""

    def __call__(self, script: Script, settings: Sequence[str] = (), flags: Sequence[str] = ()) -> GuardStage:
        """Start a guard."""


@pytest.fixture
def stage(guard_program: Path, tmp_path: Path) -> Iterator[MakeStage]:
    """Return a function that starts a guard of level image on its own tmpfs."""
    made: list[GuardStage] = []

    def make(script: Script, settings: Sequence[str] = (), flags: Sequence[str] = ()) -> GuardStage:
        one = GuardStage(guard_program, tmp_path, script, settings=["level image", *settings])
        one.settings.append(f"filesystem {one.place}")
        one.__enter__()
        made.append(one)
        one.start(*flags)
        return one

    yield make
    for one in made:
        one.__exit__(None, None, None)


def test_an_image_is_refused_and_the_agent_sees_the_opened_file(stage: MakeStage) -> None:
    """Whatever its name says, and with nothing but the event's own descriptor."""
    here = stage(BLOCK)
    image = here.put("harmless.txt", IMAGE)
    assert not here.opens(image)
    ask = here.agent.asked[0]
    assert (ask.first("door"), ask.number("uid"), ask.first("path")) == (b"guard", ALICE, bytes(image))
    assert here.agent.opened == [("", IMAGE[:64])]


@pytest.mark.parametrize("script", [ALLOW, [("decide", "log", {})], [("decide", "warn", {"notice": "x"})]])
def test_what_is_not_refused_is_opened(stage: MakeStage, script: list[Step]) -> None:
    """`allow`, `log` and `warn` alike, each open asked about anew."""
    here = stage(script)
    image = here.put("a.sif", b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + bytes(100))
    assert here.opens(image)
    assert here.opens(image, BOB)
    assert [ask.number("uid") for ask in here.agent.asked] == [ALICE, BOB]


def test_other_files_and_root_are_nobodys_business(stage: MakeStage) -> None:
    """No question for files without the magic, empty ones, directories, and for root in every respect."""
    here = stage(BLOCK)
    for content in (PLAIN, b"", b"hs", IMAGE[1:]):
        assert here.opens(here.put("plain", content))
    assert here.run(ALICE, "ls", here.place).returncode == 0
    assert here.opens(here.put("a.sif", IMAGE), 0)
    assert here.agent.asked == []


def test_programs_of_the_list_may_read(stage: MakeStage, tmp_path: Path) -> None:
    """By the inode of root's program: a copy of it may not, nor one of its verbs that is not listed."""
    reader, tool = tmp_path / "reader", tmp_path / "tool"
    for program in (reader, tool):
        shutil.copy("/bin/cat", program)
        program.chmod(0o755)
    here = stage(BLOCK, [f"allow {reader}", f"allow {tool} build"])
    image = here.put("a.sif", IMAGE)
    shutil.copy("/bin/cat", here.seen / "copy")
    (here.seen / "build").write_bytes(PLAIN)
    assert here.run(ALICE, reader, image).returncode == 0
    assert here.run(ALICE, here.place / "copy", image).returncode == 1
    assert here.run(ALICE, tool, image).returncode == 1
    assert here.run(ALICE, "sh", "-c", f"cd {here.place} && {tool} build a.sif").returncode == 0
    reader.chmod(0o777)
    assert here.run(ALICE, reader, image).returncode == 1


@pytest.mark.parametrize("way", ["hardlink", "symlink", "descriptor", "unshare", "chroot", "written"])
def test_every_way_to_the_file_is_judged(stage: MakeStage, way: str) -> None:
    """Names, namespaces and roots are the opener's; the mark is on the file system."""
    here = stage(BLOCK)
    image = here.put("a.sif", IMAGE)
    if way == "hardlink":
        (here.seen / "link").hardlink_to(here.seen / "a.sif")
        image = here.place / "link"
    elif way == "symlink":
        (here.seen / "link").symlink_to("a.sif")
        image = here.place / "link"
    elif way == "written":
        image = here.place / "new"
        script = f"{{ printf hsqs; head -c 100 /dev/zero; }} > {image}"
        assert here.run(ALICE, "sh", "-c", script).returncode == 0
    script = f": < {image}"
    if way == "descriptor":
        script = f"exec 3>>{image} && : < /proc/self/fd/3"
    words: list[str] = ["sh", "-c", script]
    if way == "unshare":
        words = ["unshare", "--user", "--map-root-user", "--mount", *words]
    elif way == "chroot":
        words = ["unshare", "--user", "--map-root-user", "--mount", "chroot", "/", *words]
    before = len(here.agent.asked)
    assert here.run(ALICE, *words).returncode != 0
    assert len(here.agent.asked) > before


def test_a_subordinate_id_is_its_owners(stage: MakeStage) -> None:
    """Who maps other ids into a namespace of his own is still the one who asks, and whose budget is used."""
    here = stage(BLOCK)
    image = here.put("a.sif", IMAGE)
    program = (
        "import ctypes,os,sys\n"
        "ready,mapped=os.pipe(),os.pipe()\n"
        "pid=os.fork()\n"
        "if pid==0:\n"
        " os.setgroups([]); os.setresgid(2001,2001,2001); os.setresuid(2001,2001,2001)\n"
        " assert ctypes.CDLL(None).unshare(0x10000000)==0\n"
        " os.write(ready[1],b'x'); os.read(mapped[0],1); os.setresgid(0,0,0); os.setresuid(0,0,0)\n"
        " try: os.open(sys.argv[1],os.O_RDONLY)\n"
        " except PermissionError: os._exit(7)\n"
        " os._exit(0)\n"
        "os.read(ready[0],1)\n"
        "for kind in 'gu': open(f'/proc/{pid}/{kind}id_map','w').write('0 100000 1')\n"
        "os.write(mapped[1],b'x'); print(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))"
    )
    assert here.run(0, "/usr/bin/python3", "-c", program, image).stdout == "7\n"
    assert [(ask.number("uid"), ask.number("gid")) for ask in here.agent.asked] == [(ALICE, 100000)]


def test_a_file_that_becomes_an_image_is_seen(stage: MakeStage) -> None:
    """An ignored file is looked at again once it was written to."""
    here = stage(BLOCK)
    path = here.put("a.sif", PLAIN)
    assert here.opens(path)
    here.put("a.sif", IMAGE)
    assert not here.opens(path)


def test_a_file_changed_through_old_memory_is_seen_after_the_next_flush(stage: MakeStage) -> None:
    """A shared writable mapping tells the kernel nothing: such a file passes for `flush_s` seconds at most."""
    here = stage(BLOCK, ["flush_s 1"])
    path = here.put("a.sif", PLAIN)
    writer = (
        "import mmap,sys; f=open(sys.argv[1],'r+b'); m=mmap.mmap(f.fileno(),0); f.close(); print(1,flush=True);"
        "sys.stdin.readline(); m[0:4]=b'hsqs'; print(2,flush=True); sys.stdin.readline()"
    )
    words = here.inside(ALICE, "/usr/bin/python3", "-c", writer, path)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        assert here.opens(path)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        here.wait(lambda: not here.opens(path), 4)
        process.stdin.write("\n")
        process.stdin.flush()


def test_a_file_system_that_is_mounted_again_is_marked_again(stage: MakeStage) -> None:
    """The mark goes with the superblock; the gap is said."""
    here = stage(BLOCK)
    assert here.run(0, "umount", here.place).returncode == 0
    assert here.run(0, "mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", here.place).returncode == 0
    here.wait(lambda: here.said("marked again"))
    assert not here.opens(here.put("a.sif", IMAGE))


@pytest.mark.parametrize("feature", ["ignored", "evictable", "pidfd", "signal", "within"])
def test_an_older_kernel_is_made_do(stage: MakeStage, feature: str) -> None:
    """Each fallback of the table refuses and allows as the feature does."""
    here = stage(BLOCK, (), ["--without", feature])
    assert not here.opens(here.put("a.sif", IMAGE))
    assert here.opens(here.put("plain", PLAIN))
    assert here.opens(here.put("plain", PLAIN))


def test_without_what_it_needs_the_guard_declines(guard_program: Path) -> None:
    """Exit status 3 and a sentence; nothing is half watched."""
    flags = ["--config", "/nonexistent", "--set", "level image", "--set", "filesystem /nonexistent"]
    done = subprocess.run(
        [guard_program, *flags, "--without", "filesystem"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("FAN_MARK_FILESYSTEM")) == (3, 1)
    capable = ["setpriv", "--bounding-set=-sys_admin"]
    done = subprocess.run([*capable, guard_program, *flags], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("sifgate-guard: declined: ")) == (3, True)
