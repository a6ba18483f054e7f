# SPDX-License-Identifier: Apache-2.0
"""What the guard costs others: opens on a file system of its own, without it, at level `runtime`, at level `image`.

A loop device with ext4 in a mount namespace of its own, 5,000 files, one process and 64; the guard's `tree` is the root
of that namespace, so that nothing else of the machine is marked. Runs with and without alternate; each figure is the
best of its runs. What opens cost more is told in CPU time, of opener and responder: other programs disturb that least.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
from testbed.cluster.scripted import ScriptedAgent
from testbed.errors import NeedsRoot, TestbedError

from bench.figure import Figure, quantile

REPOSITORY = Path(__file__).resolve().parent.parent
FILES = 5000
PROCESSES = (1, 64)
REPEATS = 5
JUDGED = 200
OPENS = 400_000
"""Of one run, shared among its processes."""
_LIMIT_S = 60


class Place:
    """The file system, as who holds its namespace sees it."""

    def __init__(self, work: Path) -> None:
        """Build the programs and mount it."""
        self.work = work
        self.mounted = work / "mounted"
        self.mounted.mkdir()
        self.opener = work / "opener"
        source = Path(__file__).resolve().parent / "guard_opener.c"
        for words in (
            ["gcc", "-O2", "-o", str(self.opener), str(source)],
            ["make", "-s", "-C", str(REPOSITORY / "hooks"), f"OUT={work}/out", f"{work}/out/sifgate-guard"],
            ["truncate", "-s", "256M", str(work / "disk")],
            ["mkfs.ext4", "-q", "-N", "8192", str(work / "disk")],
        ):
            _run(words)
        script = (
            f"mount -o loop {work}/disk {self.mounted} && cd {self.mounted} && chmod 1777 . &&"
            f'i=0; while [ $i -lt {FILES} ]; do echo "file $i" > $i; i=$((i+1)); done;'
            "cp /bin/true starter; printf hsqs > image; sync; cd /; echo mounted; cat"
        )
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        self.holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout is not None
        if self.holder.stdout.readline() != "mounted\n":
            raise TestbedError("no loop device with ext4 can be mounted here")

    def close(self) -> None:
        """Unmount it with its namespace."""
        self.holder.communicate("", timeout=_LIMIT_S)

    def inside(self, *words: str | Path) -> list[str]:
        """Return the command line that runs something in the namespace."""
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", *map(str, words)]

    def opens(self, processes: int, rounds: int = 0, guard: int = 0) -> tuple[float, float]:
        """Return opens a second, and µs of CPU for each, those of the guard with that pid among them."""
        rounds = rounds or max(1, OPENS // FILES // processes)
        words = self.inside(self.opener, self.mounted, str(FILES), str(rounds), str(processes))
        before = _cpu_seconds(guard)
        rate, cost = (float(word) for word in _run(words).split())
        return rate, cost + (_cpu_seconds(guard) - before) * 1e6 / FILES / rounds / processes

    @contextlib.contextmanager
    def guard(self, *lines: str) -> Iterator[int]:
        """Run the guard with these lines of configuration; yield its pid."""
        ours = (
            *(
                f"tree /proc/{self.holder.pid}/root",
                f"state {self.work}/state",
                f"socket {self.work}/agent.sock",
            ),
            *("forget targets", f"starter {self.mounted}/starter", *lines),
        )
        words = [f"{self.work}/out/sifgate-guard", "--config", "/nonexistent"]
        words += [word for line in ours for word in ("--set", line)]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                if "ready: " not in process.stderr.readline():
                    raise TestbedError("the guard did not start")
                yield process.pid
            finally:
                process.terminate()


def measure() -> list[Figure]:
    """Return the figures of this part; raises TestbedError where it cannot be measured."""
    if os.geteuid() != 0:
        raise NeedsRoot("the guard and its file system need root")
    with tempfile.TemporaryDirectory(prefix="sifgate-guard-") as name:
        Path(name).chmod(0o755)
        place = Place(Path(name))
        try:
            return [figure for processes in PROCESSES for figure in _costs(place, processes)] + [
                _judged(place)
            ]
        finally:
            place.close()


def _costs(place: Place, processes: int) -> list[Figure]:
    """Return what opens cost with this many processes, beside the same opens without a guard."""
    image = ("level image", f"filesystem {place.mounted}")
    bare: list[tuple[float, float]] = []
    runtime: list[float] = []
    first: list[float] = []
    later: list[float] = []
    for _ in range(REPEATS):
        bare.append(place.opens(processes))
        with place.guard() as guard:
            runtime.append(place.opens(processes, guard=guard)[1])
        with place.guard(*image) as guard:
            first.append(place.opens(1, rounds=1)[0])
            later.append(place.opens(processes, guard=guard)[1])
    base = min(cost for _, cost in bare)
    many = f"{processes} process{'es' if processes > 1 else ''}"

    def dearer(samples: Sequence[float]) -> float:
        return 100 * (min(samples) / base - 1)

    return [
        Figure(f"opens without the guard, {many}", max(rate for rate, _ in bare) / 1000, "thousand/s"),
        Figure(
            f"  guard, level runtime: other opens dearer by, {many}",
            dearer(runtime),
            "%",
            5,
            note="target: noise",
        ),
        Figure(
            f"  guard, level image: later opens dearer by, {many}",
            dearer(later),
            "%",
            5,
            note="of a bare open and close",
        ),
        Figure(f"  guard, level image: a later open adds, {many}", (min(later) - base) * 1000, "ns"),
        Figure("  guard, level image: first opens, 1 process", max(first) / 1000, "thousand/s"),
    ][: 5 if processes == 1 else 4]


def _cpu_seconds(guard: int) -> float:
    """Return the CPU time that the guard's processes have used; 0 without one."""
    if not guard:
        return 0.0
    used = 0.0
    for process in (psutil.Process(guard), *psutil.Process(guard).children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # what looks at one file ends with it
            times = process.cpu_times()
            used += times.user + times.system
    return used


def _judged(place: Place) -> Figure:
    """Return what an open of an image costs its opener, with an agent that decides at once."""
    action: list[tuple[str, ...] | tuple[str, str, dict[str, str]]] = [("decide", "allow", {})]
    with (
        ScriptedAgent(place.work / "agent.sock", action),
        place.guard("level image", f"filesystem {place.mounted}"),
    ):
        program = (
            "import os,sys,time\n"
            "for _ in range(int(sys.argv[2])):\n"
            " t=time.perf_counter(); f=os.open(sys.argv[1],0); print(time.perf_counter()-t); os.close(f)"
        )
        become = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/usr/bin/python3",
            "-c",
            program,
        ]
        laps = _run(place.inside(*become, place.mounted / "image", str(JUDGED)))
    samples = [float(line) * 1e6 for line in laps.split()]
    return Figure(
        "open of an image: question and answer", quantile(samples, 0.5), "µs", note="a scripted agent"
    )


def _run(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise TestbedError(f"{words[0]} ended with {done.returncode}: {done.stderr.strip()[:300]}")
    return done.stdout
