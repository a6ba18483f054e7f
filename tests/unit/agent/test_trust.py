# SPDX-License-Identifier: Apache-2.0
"""Who is believed: peers, file systems, files of the node itself."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.agent import RunningAgent, digest_of, eventually, settled_file
from tests.fakes.fuse import LyingFileSystem
from tests.fakes.server import FakeServer, bad_verdict, clean_verdict

from sifgate.agent import launch, memo
from sifgate.agent.identity import Identity, ReadLease, identify
from sifgate.agent.mounts import Mounts, parse_mountinfo
from sifgate.agent.peer import job_of
from sifgate.errors import SifgateError
from sifgate.model.launch import JobFacts

SOURCE = Path(__file__).parents[3] / "src"
NOBODY = 65_534
_LIBC = ctypes.CDLL(None, use_errno=True)

ASK = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from sifgate.client import Client
from sifgate.errors import SifgateError
from sifgate.model.launch import JobFacts
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
words = [(key, value.encode()) for key, value in json.loads(sys.argv[4])]
try:
    answer = Client(sys.argv[2]).ask(words, verb=sys.argv[3])
    print(json.dumps({"verb": answer.verb, "fields": [(key, value.decode()) for key, value in answer.fields]}))
except SifgateError as error:
    print(json.dumps({"verb": "error", "code": error.code, "text": str(error)}))
"""


def as_nobody(agent: RunningAgent, verb: str, words: list[tuple[str, str]]) -> dict[str, Any]:
    """Return what the agent answers to another user's process."""
    command = [
        sys.executable,
        "-I",
        "-c",
        ASK,
        str(SOURCE),
        str(agent.agent.socket_path),
        verb,
        json.dumps(words),
    ]
    done = subprocess.run(command, capture_output=True, check=True, cwd="/")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.root
def test_claims_of_a_user_do_not_count(agent: RunningAgent, root: Path) -> None:
    """Another uid, job, door and account in a user's message are recorded as claimed and change nothing."""
    image = settled_file(root / "x.sif", b"x")
    claims = {
        "uid": "0",
        "gid": "0",
        "job": "7",
        "step": "3",
        "door": "spank",
        "account": "vip",
        "nodes": "9",
    }
    answer = as_nobody(agent, "ask", [*claims.items(), ("path", str(image))])
    assert answer["verb"] == "decision"
    (record,) = agent.records()
    assert (record.uid, record.gid, record.trusted, record.door) == (NOBODY, NOBODY, False, "cli")
    assert (record.job, record.step, record.account, record.nodes) == (0, -1, "", 1)
    assert record.claimed == claims


@pytest.mark.root
def test_user_sees_own_records_only(agent: RunningAgent, root: Path) -> None:
    """Another user's record is not found, by code or by query; one's own is."""
    image = settled_file(root / "x.sif", b"x")
    foreign = agent.ask(image).text("reference")
    own = dict(as_nobody(agent, "ask", [("path", str(image))])["fields"])["reference"]
    assert as_nobody(agent, "explain", [("reference", foreign)])["code"] == "not_found"
    body = dict(as_nobody(agent, "explain", [("reference", own)])["fields"])["body"]
    assert json.loads(body)["record"]["uid"] == NOBODY
    found = json.loads(dict(as_nobody(agent, "audit", [])["fields"])["body"])["records"]
    assert [record["reference"] for record in found] == [own]
    assert len(agent.query("audit")["records"]) == 2


@pytest.mark.root
def test_user_may_not_reload(agent: RunningAgent) -> None:
    """Only root has the policy read anew."""
    assert as_nobody(agent, "reload", [])["code"] == "forbidden"


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[LyingFileSystem]:
    """A FUSE file system whose file changes unseen."""
    place = tmp_path / "liar"
    place.mkdir()
    try:
        system = LyingFileSystem(place, b"good")
    except OSError as error:
        pytest.skip(f"FUSE cannot be mounted here: {error}")
    yield system
    system.close()


@pytest.mark.root
def test_lying_file_system_is_not_remembered(
    agent: RunningAgent, server: FakeServer, liar: LyingFileSystem
) -> None:
    """On FUSE the same inode, size and times mean nothing: each launch is judged by what the file holds then."""
    server.know(clean_verdict(digest_of(b"good")))
    server.know(bad_verdict(digest_of(b"evil")))
    image = liar.place / "x.sif"
    before = image.stat()
    assert agent.action(image) == "allow"
    liar.content = b"evil"
    after = image.stat()
    assert (before.st_ino, before.st_size, before.st_ctime_ns) == (
        after.st_ino,
        after.st_size,
        after.st_ctime_ns,
    )
    assert agent.action(image) == "block"
    liar.content = b"good"
    assert agent.action(image) == "allow"


@pytest.mark.root
def test_remount_with_reused_device_number_is_another_file(
    agent: RunningAgent, server: FakeServer, tmp_path: Path
) -> None:
    """A file system mounted in another's place has its device and inode numbers, but not its mount id."""
    server.know(clean_verdict(digest_of(b"good")))
    server.know(bad_verdict(digest_of(b"evil")))
    place = tmp_path / "mount"
    place.mkdir()
    seen: list[Identity] = []
    for content, expected in ((b"good", "allow"), (b"evil", "block")):
        assert _LIBC.mount(b"sifgate-test", bytes(place), b"tmpfs", 0, b"size=1m") == 0
        try:
            image = settled_file(place / "x.sif", content)
            os.utime(image, ns=(10**18, 10**18))
            image = settled_again(image)
            assert agent.action(image) == expected
            descriptor = os.open(image, os.O_RDONLY)
            seen.append(identify(descriptor))
            os.close(descriptor)
        finally:
            assert _LIBC.umount2(bytes(place), 2) == 0
    assert seen[0].inode == seen[1].inode
    assert seen[0].mount != seen[1].mount


def settled_again(image: Path) -> Path:
    """Wait until a file is settled after its times were changed."""
    eventually(lambda: not memo.is_young(_identity(image), time.time_ns(), network=False))
    return image


def _identity(image: Path) -> Identity:
    descriptor = os.open(image, os.O_RDONLY)
    try:
        return identify(descriptor)
    finally:
        os.close(descriptor)


MOUNTINFO = """\
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:35 / /home/eve/mnt rw,nosuid,nodev,user_id=1000 - fuse.sshfs eve@host:/ rw,user_id=1000
41 27 254:16 / /media/eve rw,nosuid - ext4 /dev/sdb1 rw,uhelper=udisks2
42 27 254:17 / /media/x rw,nosuid - ext4 /dev/sdc1 rw,user=eve
44 27 254:18 / /srv/with\\040space rw - ext4 /dev/sdd1 rw
torn line
"""


def test_mountinfo_is_understood() -> None:
    """Numbers, kinds and escaped names are read; a line that is none is left out."""
    mounts = parse_mountinfo(MOUNTINFO)
    assert [mount.id for mount in mounts] == [27, 40, 41, 42, 44]
    assert mounts[0].device == os.makedev(254, 0)
    assert mounts[1].kind == "fuse.sshfs"


def judged(tmp_path: Path, mountinfo: str, **settings: Any) -> str:
    """Return why the file system of `tmp_path` is not believed under another mount table; empty: it is."""
    table = tmp_path / "mountinfo"
    table.write_text(mountinfo, encoding="utf-8")
    descriptor = os.open(table, os.O_RDONLY)
    try:
        local = settings.get("local", ("ext4", "xfs", "btrfs", "tmpfs", "overlay"))
        trait = Mounts(local, (), mountinfo=table).judge(descriptor, identify(descriptor))
    finally:
        os.close(descriptor)
    assert trait.believed == (not trait.why_not)
    return trait.why_not


def line(tmp_path: Path, kind: str, source: str, options: str) -> str:
    """Return the mountinfo line of the file system that holds `tmp_path`, told otherwise."""
    device = tmp_path.stat().st_dev
    return f"27 1 {os.major(device)}:{os.minor(device)} / / rw - {kind} {source} {options}\n"


@pytest.mark.parametrize(
    ("kind", "source", "options", "why"),
    [
        ("ext4", "/dev/vda", "rw", ""),
        ("ext4", "/dev/sdb1", "rw,uhelper=udisks2", "user"),
        ("ext4", "/dev/sdb1", "rw,user=eve", "user"),
        ("ext4", "/dev/sdb1", "rw,users", "user"),
        ("fuseblk", "/dev/sdb1", "rw", "FUSE"),
        ("ext4", "/dev/loop77", "rw", "loop"),
    ],
)
def test_mounts_made_for_users_are_not_believed(
    tmp_path: Path, kind: str, source: str, options: str, why: str
) -> None:
    """Whoever could change what is below a mount is not believed about its times."""
    if kind == "ext4":
        kind = kind_of(tmp_path)
    found = judged(tmp_path, line(tmp_path, kind, source, options))
    assert (why in found) if why else not found


def kind_of(path: Path) -> str:
    """Return the name of the file system that a path is on."""
    device = path.stat().st_dev
    return next(
        mount.kind
        for mount in parse_mountinfo(Path("/proc/self/mountinfo").read_text())
        if mount.device == device
    )


def test_a_file_system_mounted_for_a_user_stays_his(tmp_path: Path) -> None:
    """A further mount of it, made by root, does not make what is on it believed."""
    kind = kind_of(tmp_path)
    own = line(tmp_path, kind, "/dev/sdb1", "rw")
    assert "user" in judged(tmp_path, own + line(tmp_path, kind, "/dev/sdb1", "rw,uhelper=udisks2"))


def test_another_kind_under_the_same_device_number_is_not_believed(tmp_path: Path) -> None:
    """An overlay of before Linux 5.8 shows the device number of its upper file system."""
    kind = "squashfs" if kind_of(tmp_path) != "squashfs" else "ext4"
    assert "device number" in judged(tmp_path, line(tmp_path, kind, "/dev/vda", "rw"))


def test_mount_of_another_namespace_is_not_believed(tmp_path: Path) -> None:
    """A file system that root's namespace does not have was mounted by somebody in a namespace of his own."""
    assert "namespace" in judged(tmp_path, "99999 1 0:9999 / / rw - tmpfs tmpfs rw\n")


def test_file_system_off_the_list_is_not_believed(tmp_path: Path) -> None:
    """Only listed file systems are believed."""
    assert "not on the list" in judged(tmp_path, line(tmp_path, "ext4", "/dev/vda", "rw"), local=("nfs",))


def test_fuse_cannot_be_listed() -> None:
    """No setting makes FUSE believed: the name is not known."""
    assert Mounts(("fuse",), ("fuse",))._local == frozenset()


def test_read_lease_tells_of_writers(tmp_path: Path) -> None:
    """A lease is refused while somebody writes, and lost when somebody begins to."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    descriptor = os.open(path, os.O_RDONLY)
    with path.open("r+b"):
        lease = ReadLease(descriptor)
        assert (lease.held, lease.writer) == (False, True)
    lease = ReadLease(descriptor)
    assert lease.held
    with pytest.raises(BlockingIOError):
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    assert not lease.release()
    lease = ReadLease(descriptor)
    assert lease.release()
    os.close(descriptor)


@pytest.mark.parametrize(
    ("cgroup", "job", "step"),
    [
        ("0::/system.slice/slurmstepd.scope/job_42/step_3/user/task_0\n", 42, 3),
        ("0::/system.slice/n1_slurmstepd.scope/job_42/step_batch/user\n", 42, -1),
        ("4:memory:/slurm/uid_1000/job_7/step_0/task_0\n", 7, 0),
        ("0::/user.slice/user-1000.slice/system.slice/slurmstepd.scope/job_42/step_3\n", 0, -1),
        ("0::/user.slice/job_42/step_3\n", 0, -1),
        ("0::/\n", 0, -1),
        ("", 0, -1),
    ],
)
def test_job_comes_from_a_cgroup_that_slurm_made(tmp_path: Path, cgroup: str, job: int, step: int) -> None:
    """Only Slurm's own place in the tree tells of a job; a name that a user gave his cgroup does not."""
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "cgroup").write_text(cgroup, encoding="ascii")
    facts = job_of(5, str(tmp_path))
    assert (facts.job_id, facts.step_id) == (job, step)


@pytest.mark.root
def test_guards_job_is_that_of_the_process_it_names(
    agent: RunningAgent, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where root names a process and no job, its cgroup tells the job, and the prolog the job's other facts."""
    jobs = {4711: JobFacts(job_id=7, step_id=2), os.getpid(): JobFacts(job_id=8)}
    monkeypatch.setattr(launch, "job_of", lambda pid: jobs.get(pid, JobFacts()))
    image = settled_file(root / "x.sif", b"x")
    agent.client.ask(
        [
            ("door", b"prolog"),
            ("uid", b"1000"),
            ("job", b"7"),
            ("partition", b"main"),
            ("path", bytes(image)),
        ],
        verb="prescan",
    )
    agent.action(image, door="guard", pid="4711")
    agent.action(image, door="guard", pid="4711", job="9")
    agent.action(image, door="guard")
    found = [
        (record.job, record.step, record.partition) for record in agent.records() if record.door == "guard"
    ]
    assert found == [(7, 2, "main"), (9, -1, ""), (0, -1, "")]
    as_nobody(agent, "ask", [("door", "wrapper"), ("pid", "4711"), ("path", str(image))])
    assert agent.records()[-1].job == 0


Start = Callable[..., RunningAgent]


@pytest.mark.parametrize("name", ["policy", "run", "cache"])
def test_agent_refuses_places_that_others_can_write(start: Start, root: Path, name: str) -> None:
    """A socket directory or cache that anybody could have changed is not used."""
    directory = {"policy": root / "log", "run": root / "run", "cache": root / "state" / "agent"}[name]
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o777)
    with pytest.raises(SifgateError):
        start()
