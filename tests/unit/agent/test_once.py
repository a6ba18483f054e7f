# SPDX-License-Identifier: Apache-2.0
"""What launches were told, and which process is which."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sifgate.admission.ports import Footing, Told
from sifgate.agent import once as once_module
from sifgate.agent.once import LIFE, Once, Shown
from sifgate.agent.process import Process, lineage, process_of
from sifgate.model.decision import Action, Decision
from sifgate.model.image import ImageReference, ReferenceKind
from sifgate.model.launch import Door, LaunchEvent, Requester

TOLD = Told(Footing(), Decision(Action.WARN, Action.WARN), "7QX4-19")
IMAGE = (1, 2, 3)
PROCESS = Process(100, 5000, 99, 90)


def launch(door: Door, uid: int = 1000) -> LaunchEvent:
    """Return a launch through a door."""
    return LaunchEvent(door, Requester(uid), ImageReference("x.sif", ReferenceKind.PATH, "/x.sif"))


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_answer_is_kept_for_a_minute() -> None:
    """After that the same process starts something new."""
    clock = Clock()
    once = Once(clock)
    once.keep(PROCESS, IMAGE, launch(Door.WRAPPER), TOLD)
    assert once.find([PROCESS], IMAGE, launch(Door.GUARD)) is not None
    clock.now = LIFE + 0.1
    assert once.find([PROCESS], IMAGE, launch(Door.GUARD)) is None


@pytest.mark.parametrize(
    ("process", "image", "event"),
    [
        (PROCESS._replace(started=5001), IMAGE, launch(Door.GUARD)),
        (PROCESS._replace(pid=101), IMAGE, launch(Door.GUARD)),
        (PROCESS, (1, 2, 4), launch(Door.GUARD)),
        (PROCESS, IMAGE, launch(Door.GUARD, uid=1001)),
        (PROCESS, IMAGE, launch(Door.WRAPPER)),
    ],
)
def test_another_launch_is_told_nothing(process: Process, image: tuple[int, ...], event: LaunchEvent) -> None:
    """A pid that came again, another image, another user, the same door once more."""
    once = Once()
    once.keep(PROCESS, IMAGE, launch(Door.WRAPPER), TOLD)
    assert once.find([process], image, event) is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest launches and warnings go first."""
    monkeypatch.setattr(once_module, "LIMIT", 10)
    monkeypatch.setattr(once_module, "SHOWN_LIMIT", 10)
    once, shown = Once(), Shown()
    for pid in range(100):
        once.keep(PROCESS._replace(pid=pid), IMAGE, launch(Door.WRAPPER), TOLD)
        assert not shown.again((1000, pid))
    assert len(once) == 10
    assert shown.again((1000, 99))
    assert not shown.again((1000, 0))
    once.forget()
    assert len(once) == 0


def test_process_and_its_ancestors_are_read() -> None:
    """Pid, parent, session and start time are the kernel's."""
    own = process_of(os.getpid())
    assert own is not None
    assert (own.parent, own.session) == (os.getppid(), os.getsid(0))
    with subprocess.Popen(["sleep", "60"]) as child:
        found = process_of(child.pid)
        assert found is not None
        assert found.started >= own.started
        assert [process.pid for process in lineage(found, 1)] == [child.pid, os.getpid()]
        assert len(list(lineage(found, 0))) == 1
        child.kill()
        child.wait()
    assert process_of(child.pid) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"7 (a) b) c) S 3 7 5 " + b"0 " * 15 + b"4711 0", Process(7, 4711, 3, 5)),
        (b"7 (sh) S x 7 5 " + b"0 " * 15 + b"4711 0", None),
        (b"7 (sh) S 3", None),
        (b"", None),
    ],
)
def test_line_of_proc_is_read_past_any_name(tmp_path: Path, line: bytes, expected: Process | None) -> None:
    """A process may call itself what it likes."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_bytes(line)
    assert process_of(7, str(tmp_path)) == expected
