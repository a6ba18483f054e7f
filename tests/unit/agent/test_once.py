# SPDX-License-Identifier: Apache-2.0
"""What launches were told, and which process is which."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import msgspec
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
OWN = os.getpid()


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


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at now."""
    found = Clock()
    found.now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return found


def test_answer_is_kept_for_a_minute(clock: Clock) -> None:
    """After that the same process starts something new."""
    once = Once(clock)
    once.keep(OWN, IMAGE, launch(Door.WRAPPER), TOLD)
    assert once.find(OWN, IMAGE, launch(Door.SPANK)) is not None
    clock.now += LIFE + 0.1
    assert once.find(OWN, IMAGE, launch(Door.SPANK)) is None


@pytest.mark.parametrize(
    ("pid", "image", "event"),
    [
        (os.getppid(), IMAGE, launch(Door.SPANK)),
        (OWN, (1, 2, 4), launch(Door.SPANK)),
        (OWN, IMAGE, launch(Door.SPANK, uid=1001)),
        (OWN, IMAGE, launch(Door.WRAPPER)),
    ],
)
def test_another_launch_is_told_nothing(pid: int, image: tuple[int, ...], event: LaunchEvent) -> None:
    """Another process, another image, another user, the same door once more."""
    once = Once()
    once.keep(OWN, IMAGE, launch(Door.WRAPPER), TOLD)
    assert once.find(pid, image, event) is None


def test_answer_without_injected_content_is_none_to_a_launch_with_it() -> None:
    """Who asked harmlessly first gets no answer for a launch of the same image with an overlay or binds over it."""
    once = Once()
    harmless = launch(Door.WRAPPER)
    injecting = msgspec.structs.replace(launch(Door.APPTAINER_PLUGIN), content_injected=("--overlay o.img",))
    once.keep(OWN, IMAGE, harmless, TOLD)
    assert once.find(OWN, IMAGE, launch(Door.APPTAINER_PLUGIN)) is not None
    assert once.find(OWN, IMAGE, injecting) is None
    once.keep(OWN, IMAGE, msgspec.structs.replace(injecting, door=Door.WRAPPER), TOLD)
    assert once.find(OWN, IMAGE, injecting) is not None
    assert once.find(OWN, IMAGE, launch(Door.APPTAINER_PLUGIN)) is not None


def test_pid_that_came_again_is_told_nothing(clock: Clock) -> None:
    """A process that started after the answer was given is another one, whatever its number."""
    clock.now -= 30
    once = Once(clock)
    with subprocess.Popen(["sleep", "60"]) as young:
        once.keep(young.pid, IMAGE, launch(Door.WRAPPER), TOLD)
        assert once.find(young.pid, IMAGE, launch(Door.SPANK)) is None
        clock.now += 31
        once.keep(young.pid, IMAGE, launch(Door.WRAPPER), TOLD)
        assert once.find(young.pid, IMAGE, launch(Door.SPANK)) is not None
        young.kill()


def test_child_of_the_process_acts_for_it() -> None:
    """A hook is a child of the runtime, the plugin's monitor one of the launch; a wrapper is the process itself."""
    once = Once()
    once.keep(OWN, IMAGE, launch(Door.GUARD), TOLD)
    with subprocess.Popen(["sleep", "60"]) as child:
        assert once.find(child.pid, IMAGE, launch(Door.OCI_HOOK)) is not None
        assert once.find(child.pid, IMAGE, launch(Door.WRAPPER)) is None
        child.kill()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest launches and warnings go first."""
    monkeypatch.setattr(once_module, "LIMIT", 10)
    monkeypatch.setattr(once_module, "SHOWN_LIMIT", 10)
    once, shown = Once(), Shown()
    for pid in range(100):
        once.keep(pid, IMAGE, launch(Door.WRAPPER), TOLD)
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
        assert [process.pid for process in lineage(child.pid, 1)] == [child.pid, os.getpid()]
        assert len(list(lineage(child.pid, 0))) == 1
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
