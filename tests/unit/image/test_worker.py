# SPDX-License-Identifier: Apache-2.0
"""The disposable worker: walled in, bounded in time, believed only after checks; and what it refuses to be told."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.image.corpus import OS_RELEASE, debian, in_sif
from tests.unit.image.squashwriter import File

from sifgate.engine import reach
from sifgate.errors import Unscannable
from sifgate.image import seccomp, worker
from sifgate.image.bounds import Bounds
from sifgate.image.fingerprint import canonical_facts, fingerprint
from sifgate.model.image import CoverageFacts, Extraction, OsRelease

INSIDE = """
import ctypes, errno, os, socket, sys, threading
sys.path[:0] = sys.argv[3:]
from sifgate.image import sandbox
from sifgate.image.bounds import Bounds
uid = int(sys.argv[1])
program = bytes.fromhex(sys.argv[2])
own = uid if uid >= 0 else None
layers = sandbox.enter(Bounds(), uid=own, program=program, why_no_program="", directory=None)
assert layers["seccomp"] == layers["no_new_privs"] == "active", layers
def tried(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
os.write(1, (tried(lambda: os.open("/etc/passwd", os.O_RDONLY)) + "\\n").encode())
os.write(1, (str(os.getpid() > 0) + "\\n").encode())
{attempt}
os.write(1, b"survived\\n")
os._exit(0)
"""


def inside(attempt: str) -> subprocess.CompletedProcess[str]:
    """Run a line of Python behind all walls."""
    uid = worker.OWN_UID if os.geteuid() == 0 else -1
    program = seccomp.program(directories=False).hex()
    words = [sys.executable, "-I", "-S", "-c", INSIDE.replace("{attempt}", attempt), str(uid), program]
    return subprocess.run(
        [*words, *worker._import_paths()], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    """A small honest SIF, open."""
    fd = os.open(in_sif(tmp_path, debian()), os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket()",
        "os.fork()",
        "os.kill(os.getppid(), 0)",
        "os.execv('/bin/true', ['true'])",
        "os.mkdir('/tmp/x')",
        "os.unlink('/tmp/x')",
        "ctypes.CDLL(None).ptrace(0, 0, 0, 0)",
        "ctypes.CDLL(None).unshare(0x10000000)",
        "ctypes.CDLL(None).mmap(None, 4096, 7, 34, -1, 0)",
    ],
)
def test_forbidden_call_kills_the_worker(attempt: str) -> None:
    """No network, no processes, no signals, no changes, no new code: the attempt is the end of the process."""
    done = inside(attempt)
    assert done.returncode == -signal.SIGSYS, done
    assert done.stdout == "EACCES\nTrue\n"


def test_harmless_code_survives() -> None:
    """Threads and memory work behind the walls; files do not open."""
    done = inside("t = threading.Thread(target=lambda: bytes(1 << 22)); t.start(); t.join()")
    assert done.stdout.endswith("survived\n"), done


def test_layers_are_reported() -> None:
    """`sandbox_layers` names every layer; those that confine are there on this machine."""
    layers = worker.sandbox_layers()
    assert set(layers) == {"network", "limits", "uid", "no_new_privs", "landlock", "seccomp"}
    assert "active" in {layers["seccomp"], layers["landlock"]}


def test_no_sandbox_no_reading(image: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither seccomp nor Landlock can be had, the image is not read at all."""
    monkeypatch.setattr(worker, "_program", lambda **_: (b"", "no libseccomp"))
    monkeypatch.setattr(
        worker,
        "_START",
        worker._START.replace(
            "; main(", "; from sifgate.image import sandbox; sandbox._SYS_LANDLOCK_CREATE = 9999; main("
        ),
    )
    with pytest.raises(Unscannable, match="seccomp: no libseccomp") as caught:
        worker.extract(image)
    assert caught.value.cause == "sandbox"


def test_worker_that_does_not_start(image: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is a missing sandbox, not a bad image."""
    monkeypatch.setattr(worker, "_START", "raise SystemExit(3)")
    with pytest.raises(Unscannable, match="did not start") as caught:
        worker.extract(image)
    assert caught.value.cause == "sandbox"


def test_hung_worker_is_ended(image: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past its wall-clock bound the process is killed, and nothing is left of it."""
    monkeypatch.setattr(worker, "_START", "import time; time.sleep(600)")
    start = time.monotonic()
    with pytest.raises(Unscannable, match="longer than") as caught:
        worker.extract(image, bounds=Bounds(wall_seconds=0.5))
    assert caught.value.cause == "bounds"
    assert time.monotonic() - start < 30


def test_processor_time_is_bounded(tmp_path: Path) -> None:
    """An image that costs more processor time than it may ends as `bounds`."""
    data = b"MZ" + bytes((64 << 20) - 2)
    root = debian(
        {
            f"opt/{number}": File(data[:100], size=1 << 29, sizes=[100 | 1 << 24] + [0] * 4095)
            for number in range(64)
        }
    )
    fd = os.open(in_sif(tmp_path, root), os.O_RDONLY)
    try:
        with pytest.raises(Unscannable) as caught:
            worker.extract(fd, bounds=Bounds(cpu_seconds=1))
        assert caught.value.cause in {"bounds", "malformed"}
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"E\x02\0\0\0{}",
        b"E\xff\xff\xff\xff",
        b"U\x04\0\0\0null",
        b"S\x02\0\0\0[]",
        b"garbage without end" * 100,
        b"P\x01\0\0\0x",
    ],
)
def test_nonsense_from_the_worker_is_not_believed(
    image: int, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """A worker that the image has taken over says what it wants; only the expected forms count."""
    code = f"import sys, json, os; os.write(json.loads(sys.argv[1])['answers'], {said!r})"
    monkeypatch.setattr(worker, "_START", code)
    with pytest.raises(Unscannable):
        worker.extract(image, progress=lambda _done, _total: None)


def test_image_cut_while_being_read(tmp_path: Path) -> None:
    """A file that shrinks under the reader is malformed: no crash, no half answer."""
    root = debian({f"opt/{number}.egg-info": File(os.urandom(4000)) for number in range(3000)})
    path = in_sif(tmp_path, root)
    fd = os.open(path, os.O_RDONLY)
    started = threading.Event()

    def cut() -> None:
        started.wait(30)
        os.truncate(path, 50_000)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        with pytest.raises(Unscannable) as caught:
            worker.extract(fd, progress=lambda _done, _total: started.set())
        assert caught.value.cause == "malformed"
    finally:
        started.set()
        thread.join()
        os.close(fd)


def test_image_changed_while_being_read(tmp_path: Path) -> None:
    """A file that is written between start and end is not answered for."""
    path = in_sif(tmp_path, debian({f"opt/{number}": File(b"x" * 30) for number in range(2000)}))
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(Unscannable, match="changed"):
            worker.extract(fd, progress=lambda _done, _total: os.utime(path, (1, 1)))
    finally:
        os.close(fd)


def test_progress_counts_up(tmp_path: Path) -> None:
    """The caller hears how far the walk is, and of how many entries."""
    path = in_sif(tmp_path, debian({f"opt/{number}": File() for number in range(3500)}))
    fd = os.open(path, os.O_RDONLY)
    heard: list[tuple[int, int]] = []
    try:
        _, layer = worker.extract(fd, progress=lambda done, total: heard.append((done, total)))
        os.close(layer)
    finally:
        os.close(fd)
    assert heard == sorted(heard)
    assert heard
    assert all(done <= total for done, total in heard)


def test_fingerprint_is_that_of_the_protocol() -> None:
    """The bytes under the hash are those of docs/protocol.md §2."""
    import hashlib

    facts = CoverageFacts(os_release=OsRelease(id="debian"), managers=("dpkg",), omitted=("name: caf\xe9",))
    text = (
        b'{"contradictions":[],"managers":["dpkg"],"omitted":["name: caf\\u00e9"],'
        b'"os_release":{"codename":"","id":"debian","pretty_name":"","version_id":""}}'
    )
    assert canonical_facts(facts) == text
    whole = b"sifgate-fingerprint\0" + b"1\0" + b"1\0" + b"sha256:00\0" + text
    assert fingerprint(1, "sha256:00", facts) == hashlib.sha256(whole).hexdigest()


def _rechecked(layer: bytes, extraction: Extraction) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(layer)
        file.flush()
        worker.recheck(file.fileno(), extraction)


def _named(layer: bytes, extraction: Extraction) -> Extraction:
    """Return the extraction as a lying node would send it: consistent with these bytes."""
    import hashlib

    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    named = fingerprint(1, digest, extraction.facts)
    return msgspec.structs.replace(extraction, layer_digest=digest, layer_size=len(layer), fingerprint=named)


def test_recheck_refuses_what_is_not_its_own_slim_layer(image: int) -> None:
    """A layer with one more member, one byte changed, in another form, or other facts: all refused."""
    from sifgate.image import tarball

    extraction, fd = worker.extract(image)
    layer = os.pread(fd, extraction.layer_size, 0)
    os.close(fd)
    _rechecked(layer, extraction)
    more = tarball.header(b"zzz", tarball.FILE, 0o644, 0) + layer
    late = layer[: -len(tarball.END)] + tarball.header(b"zzz", tarball.FILE, 0o644, 0) + tarball.END
    loop = tarball.header(b"etc/issue", tarball.SYMLINK, 0o777, 0, b"/etc/issue") + layer
    other_form = layer.replace(b"0000644", b"0000600", 1)
    for bad in (more, late, loop, other_form, layer + bytes(512), layer[:-512], b""):
        with pytest.raises(Unscannable) as caught:
            _rechecked(bad, _named(bad, extraction))
        assert caught.value.cause == "malformed"
    changed = layer.replace(OS_RELEASE[:10], OS_RELEASE[:9] + b"X")
    facts = msgspec.structs.replace(extraction.facts, managers=("apk",))
    lies = [
        (changed, extraction),
        (layer, msgspec.structs.replace(extraction, fingerprint="0" * 64)),
        (layer, msgspec.structs.replace(extraction, slim_version=99)),
        (layer, _named(layer, msgspec.structs.replace(extraction, facts=facts))),
    ]
    for bad, claim in lies:
        with pytest.raises(Unscannable):
            _rechecked(bad, claim)


def test_sandbox_directory_is_never_left(tmp_path: Path) -> None:
    """Links out of a directory image lead nowhere; pipes in it are not opened."""
    root = tmp_path / "box"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").symlink_to("/etc/passwd")
    (root / "etc/issue").symlink_to("../../../../etc/passwd")
    (root / "opt").mkdir()
    os.mkfifo(root / "opt/rpmdb.sqlite")
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        extraction, layer = worker.extract(fd)
        os.close(layer)
    finally:
        os.close(fd)
    assert extraction.image_format == "directory"
    assert set(extraction.facts.omitted) == {
        "link: etc/issue",
        "link: etc/os-release",
        "not-a-file: opt/rpmdb.sqlite",
    }
    assert extraction.layer_size == 1024


@pytest.mark.root
def test_sandbox_directory_of_root_is_read_whole(tmp_path: Path) -> None:
    """What only root may read in root's directory is read all the same, by a worker that is not root."""
    root = tmp_path / "box"
    (root / "root/buildinfo").mkdir(parents=True)
    (root / "root/buildinfo/labels.json").write_text("{}")
    (root / "root").chmod(0o700)
    (root / "root/buildinfo/labels.json").chmod(0o600)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        extraction, layer = worker.extract(fd)
        assert b"labels.json" in os.pread(layer, extraction.layer_size, 0)
        os.close(layer)
    finally:
        os.close(fd)
    assert extraction.facts.omitted == ()


@pytest.mark.root
def test_unreadable_part_is_noted(tmp_path: Path) -> None:
    """What the owner of a directory may not read is noted, and the rest is read."""
    root = tmp_path / "box"
    (root / "secret").mkdir(parents=True)
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/os-release").write_bytes(OS_RELEASE)
    (root / "secret").chmod(0o700)
    os.chown(root, 12_345, 12_345)
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        extraction, layer = worker.extract(fd)
        os.close(layer)
    finally:
        os.close(fd)
    assert extraction.facts.omitted == ("unreadable: secret",)
    assert extraction.facts.os_release.id == "debian"


@pytest.mark.root
def test_works_for_an_ordinary_user(tmp_path: Path) -> None:
    """Without any privilege the worker still walls itself in, and reads."""
    fd = os.open(in_sif(tmp_path, debian()), os.O_RDONLY)
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from sifgate.image.worker import extract, sandbox_layers\n"
        "print(sandbox_layers()['seccomp'], extract(int(sys.argv[1]))[0].facts.os_release.id)\n"
    )
    words = [sys.executable, "-I", "-S", "-c", code, str(fd), *worker._import_paths()]
    try:
        done = subprocess.run(
            reach.command(words, 12_345, 12_345, []),
            pass_fds=[fd], capture_output=True, text=True, check=False, timeout=60, cwd="/", env={},
        )  # fmt: skip
    finally:
        os.close(fd)
    assert done.stdout == "active debian\n", done


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a worker a uid")
def test_worker_takes_the_scan_user_and_no_group_of_others(
    image: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a system user for workers exists they run as it; the group of that number is none of theirs."""
    daemon = pwd.getpwnam("daemon").pw_uid
    assert worker.own_uid("daemon") == daemon
    assert (
        worker.own_uid("root") == worker.own_uid("nobody") == worker.own_uid("no-such-user") == worker.OWN_UID
    )
    script = (
        f"from sifgate.image import sandbox; sandbox._drop_privileges({daemon}, reads_all=False);"
        "import os; print(os.getresuid(), os.getresgid(), os.getgroups())"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == f"{(daemon,) * 3} {(65_533,) * 3} []\n"
