# SPDX-License-Identifier: Apache-2.0
"""The parent's side of the disposable worker: one sandboxed process per image, its answer believed only after checks.

Nothing here reads the image: the parent starts the process, passes the descriptor, waits within bounds, hashes the
layer that came out and names it. What the process says is bounded, decoded into fixed types and
checked against the layer.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import select
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from sifgate.errors import Unscannable
from sifgate.image import seccomp
from sifgate.image.bounds import Bounds
from sifgate.image.child import Task
from sifgate.image.examine import Examined
from sifgate.image.facts import FileFacts
from sifgate.image.fingerprint import fingerprint
from sifgate.image.slim import VERSION
from sifgate.model.image import Extraction

Progress = Callable[[int, int], None]
_DEFAULT = Bounds()

CAUSES = frozenset({"encrypted", "malformed", "bounds", "format", "filesystem", "sandbox"})
OWN_UID = 65_533
"""The worker's uid when root gives none and there is no account for it: reserved, nobody logs in or owns files by it
(Debian policy 9.2.2)."""
SCAN_USER = "sifgate-scan"
"""The system user that `sifgate up` makes for workers, so that `ps` tells them from everything else."""
_SYSTEM_UIDS = range(1, 1000)

_START = "import sys; sys.path[:0] = sys.argv[2:]; from sifgate.image.child import main; main(sys.argv[1])"
_LIBRARIES = ("sifgate", "msgspec", "isal", "lz4", "zstandard", "pysequoia")
_LONGEST_ANSWER = 1 << 20
_PIECE = 1 << 20


class _Answers:
    """What the worker said, message by message, within a bound."""

    def __init__(self, progress: Progress | None) -> None:
        self._waiting = b""
        self._progress = progress
        self.layers: dict[str, str] | None = None
        self.examined: Examined | None = None
        self.facts: FileFacts | None = None
        self.refusal: tuple[str, str] | None = None

    def take(self, data: bytes) -> None:
        """Take bytes from the pipe; raises ValueError if they are no answers."""
        self._waiting += data
        while len(self._waiting) >= 5:  # noqa: PLR2004  letter and length
            (length,) = struct.unpack_from("<I", self._waiting, 1)
            if length > _LONGEST_ANSWER:
                raise ValueError("an answer is too long")
            if len(self._waiting) < 5 + length:
                return
            letter, body = self._waiting[:1], self._waiting[5 : 5 + length]
            self._waiting = self._waiting[5 + length :]
            self._message(letter, body)

    def _message(self, letter: bytes, body: bytes) -> None:
        if letter == b"S":
            self.layers = msgspec.json.decode(body, type=dict[str, str])
        elif letter == b"E":
            self.examined = msgspec.json.decode(body, type=Examined)
        elif letter == b"F":
            self.facts = msgspec.json.decode(body, type=FileFacts)
        elif letter == b"U":
            self.refusal = msgspec.json.decode(body, type=tuple[str, str])
        elif letter == b"P" and self._progress:
            self._progress(*struct.unpack("<QQ", body))


class Job(NamedTuple):
    """What one worker is asked for."""

    verb: str
    image: int = -1
    layer: int = -1
    bounds: Bounds = _DEFAULT
    uid: int | None = None
    progress: Progress | None = None
    wanted: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """How one worker ended."""

    answers: _Answers
    status: int
    """As `Popen.returncode`."""
    in_time: bool


def extract(
    fd: int,
    *,
    bounds: Bounds = _DEFAULT,
    uid: int | None = None,
    progress: Progress | None = None,
) -> tuple[Extraction, int]:
    """Return what the image behind `fd` holds, and a descriptor of its slim layer (at 0; the caller closes it).

    `uid` is the worker's own user id (only root can give one); `progress` is called with (done, total) entries.
    Raises `Unscannable` with one of the design's six causes; never returns a partial answer.
    """
    extraction, layer, _ = extract_measured(fd, bounds=bounds, uid=uid, progress=progress)
    return extraction, layer


def extract_measured(
    fd: int, *, bounds: Bounds = _DEFAULT, uid: int | None = None, progress: Progress | None = None
) -> tuple[Extraction, int, Examined]:
    """Return the same as `extract`, and the worker's own measurements, for the bench."""
    with _layer_file() as layer:
        before = _stamp(fd)
        examined = _run(Job("extract", fd, layer.fileno(), bounds, uid, progress))
        if _stamp(fd) != before:
            raise Unscannable(
                "malformed", "the image was changed while being read", hint="try again when it is written"
            )
        size = os.fstat(layer.fileno()).st_size
        if size != examined.layer_size or size > bounds.layer_size + _PIECE:
            raise Unscannable("malformed", f"the worker wrote {size} bytes and says {examined.layer_size}")
        digest = "sha256:" + _sha256(layer.fileno(), size)
        extraction = Extraction(
            fingerprint=fingerprint(VERSION, digest, examined.facts),
            slim_version=VERSION,
            layer_digest=digest,
            layer_size=size,
            facts=examined.facts,
            image_format=examined.image_format,
            bytes_read=examined.bytes_read,
        )
        descriptor = os.dup(layer.fileno())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return extraction, descriptor, examined


def _layer_file() -> IO[bytes]:
    """Return a file without a name for the layer: on disk, else in memory."""
    try:
        return tempfile.TemporaryFile(prefix="sifgate-layer-")
    except OSError:
        return os.fdopen(os.memfd_create("sifgate-layer", os.MFD_CLOEXEC), "r+b")


def recheck(fd: int, extraction: Extraction, *, uid: int | None = None) -> None:
    """Return if the slim layer behind `fd` is exactly what `extraction` says, parsed anew in the same sandbox.

    Raises `Unscannable("malformed", …)` unless its canonical re-serialisation is identical and the fingerprint right.
    """
    size = os.fstat(fd).st_size
    if extraction.slim_version != VERSION:
        raise Unscannable("malformed", f"slim version {extraction.slim_version} is not {VERSION}")
    if size != extraction.layer_size or "sha256:" + _sha256(fd, size) != extraction.layer_digest:
        raise Unscannable("malformed", "the layer is not the one that its digest names")
    if fingerprint(VERSION, extraction.layer_digest, extraction.facts) != extraction.fingerprint:
        raise Unscannable("malformed", "the fingerprint is not that of the layer and its facts")
    facts = _run(Job("recheck", fd, uid=uid)).facts
    claimed = extraction.facts
    if (facts.os_release, facts.managers) != (claimed.os_release, claimed.managers):
        raise Unscannable("malformed", "the facts are not those of the layer")


@cache
def sandbox_layers() -> dict[str, str]:
    """Return the layers of the sandbox on this machine: name → "active", or why not; asked of a real worker, once."""
    try:
        layers = _outcome(Job("probe")).answers.layers
    except Unscannable as error:
        return {"worker": str(error)}
    return layers or {"worker": "does not start"}


def read_facts(
    fd: int, wanted: tuple[str, ...], *, ring: bytes = b"", bounds: Bounds = _DEFAULT, uid: int | None = None
) -> FileFacts:
    """Return the facts that are wanted (`created`, `digest`, `signers`) of the regular file behind `fd`.

    `ring` holds the site's public keys. Raises `Unscannable` where the worker could not find them out.
    """
    with os.fdopen(os.memfd_create("sifgate-ring", os.MFD_CLOEXEC), "r+b") as file:
        file.write(ring)
        file.flush()
        answers = _answers(Job("facts", fd, file.fileno(), bounds, uid, wanted=wanted))
    if answers.facts is None:
        raise Unscannable("malformed", "the worker died on the image")
    return answers.facts


def _run(job: Job) -> Examined:
    answers = _answers(job)
    if answers.examined is None:
        raise Unscannable("malformed", "the worker died on the image")
    return answers.examined


def _answers(job: Job) -> _Answers:
    """Return what a worker said that came to its end; raises `Unscannable` for any other end."""
    outcome = _outcome(job)
    answers = outcome.answers
    if not outcome.in_time:
        raise Unscannable("bounds", f"reading the image took longer than {job.bounds.wall_seconds:g} s")
    if answers.refusal is not None:
        cause, text = answers.refusal
        raise Unscannable(cause if cause in CAUSES else "malformed", text[:1000])
    if answers.layers is None:
        raise Unscannable("sandbox", f"the worker did not start (status {outcome.status})")
    if outcome.status in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise Unscannable("bounds", "reading the image took more processor time or memory than it may")
    if outcome.status != 0:
        raise Unscannable("malformed", f"the worker died on the image (status {outcome.status})")
    return answers


def _outcome(job: Job) -> Outcome:
    """Run one worker to its end, or to the end of its time."""
    reading, writing = os.pipe()
    try:
        process = _start(_task(job, writing))
    except OSError as error:
        os.close(reading)
        raise Unscannable("sandbox", f"no worker can be started: {error.strerror}") from error
    finally:
        os.close(writing)
    answers = _Answers(job.progress)
    in_time = False
    try:
        in_time = _listen(reading, answers, time.monotonic() + job.bounds.wall_seconds)
    finally:
        os.close(reading)
        _end(process, patience=1.0 if in_time else 0.0)
    return Outcome(answers, process.returncode, in_time)


def _task(job: Job, answers: int) -> Task:
    program, why = _program(directories=job.verb == "extract" and _is_directory(job.image))
    return Task(
        verb=job.verb,
        image=job.image,
        layer=job.layer,
        answers=answers,
        bounds=job.bounds,
        uid=_uid(job),
        program=program,
        why_no_program=why,
        wanted=job.wanted,
    )


def _uid(job: Job) -> int | None:
    """Return the uid the worker takes: the one given, a sandbox directory's owner (who may read it), or its own."""
    if os.geteuid() != 0:
        return None
    if job.uid is None and job.verb == "extract" and _is_directory(job.image):
        return os.fstat(job.image).st_uid or own_uid()
    return own_uid() if job.uid is None else job.uid


def own_uid(user: str = SCAN_USER) -> int:
    """Return the uid of a worker that belongs to nobody: the system user's where there is one, else `OWN_UID`."""
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return OWN_UID
    return uid if uid in _SYSTEM_UIDS else OWN_UID


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """Wait a moment for a worker that has said all, then end it."""
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(task: Task) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", "-c", _START, msgspec.json.encode(task).decode(), *_import_paths()]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[each for each in (task.image, task.layer, task.answers) if each >= 0],
        cwd="/",
        env={},
    )


def _listen(pipe: int, answers: _Answers, deadline: float) -> bool:
    """Take answers until the worker closes its end; return False if the deadline came first."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return False
        data = os.read(pipe, 1 << 16)
        if not data:
            return True
        try:
            answers.take(data)
        except (ValueError, struct.error, msgspec.MsgspecError):
            answers.refusal = ("malformed", "the worker's answers make no sense")
            return True


@cache
def _import_paths() -> tuple[str, ...]:
    """Return the directories that hold our code and the libraries the worker uses."""
    found = {}
    for name in _LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            found[str(Path(spec.origin).parent.parent)] = True
    return tuple(found)


def _program(*, directories: bool) -> tuple[bytes, str]:
    try:
        return seccomp.program(directories=directories), ""
    except (OSError, RuntimeError, ImportError) as error:
        return b"", str(error) or type(error).__name__


def _is_directory(fd: int) -> bool:
    return fd >= 0 and stat.S_ISDIR(os.fstat(fd).st_mode)


def _stamp(fd: int) -> tuple[int, ...]:
    """Return what changes when a regular file is written; nothing for a directory, whose files have their own."""
    status = os.fstat(fd)
    if _is_directory(fd):
        return ()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sha256(fd: int, size: int) -> str:
    whole = hashlib.sha256()
    for offset in range(0, size, _PIECE):
        whole.update(os.pread(fd, _PIECE, offset))
    return whole.hexdigest()
