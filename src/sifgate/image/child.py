# SPDX-License-Identifier: Apache-2.0
"""The disposable worker process: import everything, close the sandbox, read one image, answer, die.

Started by `worker` as `python -I -S` with an empty environment. Descriptors that it has: the image, the file for the
layer (or the key ring), the pipe for its answers. Each answer is a letter, a 4-byte length and that many bytes: `S` the
sandbox's layers, `P` entries seen and expected, `E` what was examined, `F` facts of the file, `U` cause and text of an
`Unscannable`.
"""

from __future__ import annotations

import errno
import gc
import os
import stat
import struct
from typing import NoReturn

import msgspec

from sifgate.errors import Unscannable
from sifgate.image import compression, examine, facts, recheck, sandbox, signature
from sifgate.image.bounds import Bounds

_BUFFER = 1 << 20


class Task(msgspec.Struct, frozen=True):
    """What the parent wants; the only argument of the process, as JSON."""

    verb: str
    """`extract`, `facts`, `recheck` or `probe`."""
    image: int
    layer: int
    """For `facts`: the key ring, -1 where there is none."""
    answers: int
    bounds: Bounds
    uid: int | None
    program: bytes
    why_no_program: str
    wanted: tuple[str, ...] = ()
    """For `facts`: which."""


class _Layer:
    """The file of the layer, written in large pieces."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _BUFFER:
            self.flush()

    def flush(self) -> None:
        data = memoryview(b"".join(self._waiting))
        self._waiting, self._size = [], 0
        while data:
            data = data[os.write(self._fd, data) :]


def answer(pipe: int, letter: bytes, body: bytes) -> None:
    """Send one message to the parent."""
    data = memoryview(letter + struct.pack("<I", len(body)) + body)
    while data:
        data = data[os.write(pipe, data) :]


def main(argument: str) -> NoReturn:
    """Do the task and end the process without any clean-up: there is nothing to clean."""
    gc.disable()  # nothing here has cycles, and a million entries make every collection slow
    task = msgspec.json.decode(argument, type=Task)
    refusal = _refusal(task)
    if refusal is not None:
        answer(task.answers, b"U", msgspec.json.encode(refusal))
    os._exit(0)


def _refusal(task: Task) -> tuple[str, str] | None:
    """Do the task; return cause and text of why not, only after what filled the memory is gone."""
    try:
        _do(task)
    except Unscannable as error:
        return error.cause, str(error)
    except MemoryError:
        return "bounds", "reading the image took more memory than it may"
    except RecursionError:
        return "malformed", "the image is nested too deeply"
    except OSError as error:
        cause = "bounds" if error.errno in {errno.EFBIG, errno.ENOSPC} else "malformed"
        return cause, f"reading the image failed: {error.strerror}"
    except Exception as error:  # noqa: BLE001  whatever a hostile image finds in our readers is the image's state
        return "malformed", f"a reader gave up: {type(error).__name__}: {error}"
    return None


def _do(task: Task) -> None:
    if task.verb == "facts":
        if "signers" in task.wanted:
            signature.load()
    else:
        compression.load()
    memory = os.open("/proc/self/status", os.O_RDONLY)
    directory = task.image if task.verb == "extract" and stat.S_ISDIR(os.fstat(task.image).st_mode) else None
    layers = sandbox.enter(
        task.bounds,
        uid=task.uid,
        program=task.program,
        why_no_program=task.why_no_program,
        directory=directory,
    )
    answer(task.answers, b"S", msgspec.json.encode(layers))
    if not any(layers[name] == sandbox.ACTIVE for name in sandbox.CONFINING):
        raise Unscannable("sandbox", "; ".join(f"{name}: {why}" for name, why in layers.items()))
    if task.verb == "extract":
        _extract(task, memory)
    elif task.verb == "facts":
        found = facts.read_facts(task.image, task.layer, task.wanted, task.bounds)
        answer(task.answers, b"F", msgspec.json.encode(found))
    elif task.verb == "recheck":
        answer(task.answers, b"E", msgspec.json.encode(recheck.reexamine(task.image, task.bounds)))


def _extract(task: Task, memory: int) -> None:
    layer = _Layer(task.layer)

    def progress(done: int, expected: int) -> None:
        answer(task.answers, b"P", struct.pack("<QQ", done, expected))

    examined = examine.examine(task.image, task.bounds, layer, progress)
    layer.flush()
    examined = msgspec.structs.replace(examined, peak_memory=_peak(memory))
    answer(task.answers, b"E", msgspec.json.encode(examined))


def _peak(status: int) -> int:
    """Return the most bytes resident since the process began its program; getrusage counts the parent's before too."""
    for line in os.pread(status, 1 << 14, 0).splitlines():
        if line.startswith(b"VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
