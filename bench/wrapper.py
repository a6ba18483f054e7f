# SPDX-License-Identifier: Apache-2.0
"""What the wrapper adds to a launch whose image is known: before /bin/true, and before the real Apptainer.

Launches with and without it alternate, so that both see the same machine; the figure is the difference of medians.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from testbed.cluster import Cluster, install
from testbed.cluster.wrapper import agent_everywhere, wrapped
from testbed.errors import TestbedError
from testbed.images import obtain_image

from bench.cold import POLICY
from bench.figure import Figure, quantile
from bench.gate import gate
from bench.warm import POLICY as WARM
from bench.warm import running_agent

HOOKS = Path(__file__).resolve().parents[1] / "hooks"
LAPS = 400
LAUNCHES = 15
IMAGE = "trixie.sif"
TARGET_MS = 1.5


def measure() -> list[Figure]:
    """Return the figures; those of the real Apptainer need root."""
    bare, added = _before_true()
    figures = [
        Figure("/bin/true, median", bare, "ms"),
        Figure("wrapper adds to /bin/true, median", added, "ms", target=TARGET_MS),
    ]
    if os.geteuid() != 0:
        return figures
    apptainer, launch = _before_apptainer()
    return [
        *figures,
        Figure("apptainer exec, median", apptainer, "ms"),
        Figure("wrapper adds to apptainer exec, median (noise of a launch: 10 ms)", launch - apptainer, "ms"),
    ]


def _before_true() -> tuple[float, float]:
    """Return the milliseconds of a program that does nothing, and what the wrapper adds to it."""
    place = Path(tempfile.mkdtemp(prefix="sifgate-bench-wrapper-"))
    try:
        with running_agent(WARM.format(action="log")) as (socket, image, _):
            program = _build(place, Path(socket))
            words = ["apptainer", "exec", "--nv", str(image), "true"]
            plain = lambda: _spawn(f"{program}.real", words)  # noqa: E731 - one line each, side by side
            asking = lambda: _spawn(str(program), words)  # noqa: E731
            return _compare(plain, asking)
    finally:
        shutil.rmtree(place)


def _build(place: Path, socket: Path) -> Path:
    """Return a wrapper, compiled as for packages, that asks at `socket`; behind it lies /bin/true."""
    posture = socket.parent.parent / "etc/posture"
    flags = f'-O2 -DSIFGATE_SOCKET=\\"{socket}\\" -DSIFGATE_POSTURE=\\"{posture}\\"'
    words = [
        "make",
        "-s",
        "-C",
        str(HOOKS),
        f"OUT={place}/build",
        f"CFLAGS={flags}",
        f"{place}/build/sifgate-wrapper",
    ]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise TestbedError(f"the wrapper could not be built:\n{made.stdout}{made.stderr}")
    program = place / "apptainer"
    shutil.copy(place / "build/sifgate-wrapper", program)
    shutil.copy("/bin/true", f"{program}.real")
    return program


def _spawn(program: str, words: list[str]) -> None:
    child = os.posix_spawn(program, words, os.environ)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise TestbedError(f"{program} ended with {status}")


def _compare(plain: Callable[[], None], other: Callable[[], None]) -> tuple[float, float]:
    laps: tuple[list[float], list[float]] = ([], [])
    for _ in range(LAPS):
        for action, times in zip((plain, other), laps, strict=True):
            started = time.perf_counter()
            action()
            times.append(time.perf_counter() - started)
    medians = [1000 * quantile(times, 0.5) for times in laps]
    return medians[0], medians[1] - medians[0]


def _before_apptainer() -> tuple[float, float]:
    """Return the milliseconds of `apptainer exec IMAGE true` without the wrapper and with it."""
    binds = {"clean": obtain_image(IMAGE).parent}
    launch = ["exec", f"/images/clean/{IMAGE}", "true"]
    lap = "s=$(date +%s%N); $name {launch}; e=$(date +%s%N); echo $name $((e - s))"
    loop = f"for lap in $(seq {{laps}}); do for name in apptainer.real apptainer; do {lap}; done; done"
    script = loop.format(laps=LAUNCHES, launch=shlex.join(launch))
    with (
        Cluster(nodes=("n1",), prepare=[install.programs], binds=binds) as cluster,
        gate(POLICY, cluster.node_root("n1")),
        wrapped(cluster),
        agent_everywhere(cluster, "n1"),
    ):
        cluster.run("alice", ["apptainer", *launch]).check()
        told = cluster.run("alice", ["bash", "-c", script], limit=120).check().stdout
    times: dict[str, list[float]] = {"apptainer": [], "apptainer.real": []}
    for line in told.splitlines():
        name, nanoseconds = line.split()
        times[name].append(int(nanoseconds) / 1e6)
    return quantile(times["apptainer.real"], 0.5), quantile(times["apptainer"], 0.5)
