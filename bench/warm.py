# SPDX-License-Identifier: Apache-2.0
"""Warm decisions at the agent's socket: one at a time, at a steady rate, and in bursts.

A real agent process with the shipped policy, a cache that holds a verdict as large as bullseye-sci's (1,122 findings),
and a load generator that does all that a shim does: connect, ask, open the image, send its descriptor, read the
decision. No server runs: a warm launch must not need one. Latency is the shim's, from connect to decision.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bench.figure import Figure, quantile
from sifgate import wire
from sifgate.agent.cache import Cache, digest_of
from sifgate.agent.identity import identify
from sifgate.agent.memo import Memo, boot_id
from sifgate.agent.mounts import Mounts
from sifgate.client import Client
from sifgate.config import AgentSettings
from sifgate.image.slim import VERSION as SLIM_VERSION
from sifgate.model.finding import Finding, Severity
from sifgate.model.verdict import Coverage, Generation, ScanState, Verdict

FINGERPRINT = "9f2c41a7" * 8
FINDINGS = 1122
STEADY_RATE = 500
STEADY_SECONDS = 6.0
ONE_BY_ONE = 2000
REPEATS = 15
"""Bursts of each size; the median and the worst are told."""


POLICY = """\
schema: sifgate.policy/v1
mode: enforce
rules:
  - id: medium
    when: {{severity: ">= medium"}}
    action: {action}
"""


def verdict() -> Verdict:
    """Return a verdict with as many findings as bullseye-sci's, none of which the shipped policy refuses."""
    findings = tuple(
        Finding(
            vulnerability=f"CVE-2024-{number:05d}",
            package=f"libsample{number % 333}",
            version="1.2.3-4+deb11u1",
            severity=Severity(number % 5),
            source=f"sample{number % 120}",
            arch="amd64",
            manager="dpkg",
            link=f"https://security-tracker.debian.org/tracker/CVE-2024-{number:05d}",
            path="var/lib/dpkg/status",
            updater="debian/updater",
        )
        for number in range(FINDINGS)
    )
    return Verdict(
        fingerprint=FINGERPRINT,
        state=ScanState.KNOWN,
        findings=findings,
        coverage=Coverage(
            distribution="Debian GNU/Linux 11 (bullseye)", advisories=True, packages={"dpkg": 333}
        ),
        generation=Generation(id="bench"),
        scanned_at="2026-01-01T00:00:00Z",
    )


def _prepare(root: Path, *, policy: str) -> Path:
    """Lay out a root whose cache knows one image; return the image."""
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "policy.yaml").write_text(policy, encoding="utf-8")
    image = root / "image.sif"
    image.write_bytes(b"an image whose content the cache knows\n")
    cache = Cache(root / "state" / "agent" / "verdicts.sqlite", boot=boot_id(), limit_bytes=1 << 28)
    body = msgspec.json.encode(verdict())
    cache.store(body, verdict(), digest_of(body))
    settings = AgentSettings()
    mounts = Mounts(settings.file_systems, settings.network_file_systems)
    with image.open("rb") as file:
        identity = identify(file.fileno())
        trait = mounts.judge(file.fileno(), identity)
        if not trait.believed:
            raise SystemExit(f"bench: {image}: {trait.why_not}; set TMPDIR to a local file system")
        key = Memo(mounts, SLIM_VERSION, 0.0).key(file.fileno(), identity, trait)
    cache.keep_file(key, FINGERPRINT, float("inf"))
    cache.close()
    return image


@contextlib.contextmanager
def running_agent(policy: str) -> Iterator[tuple[str, Path, int]]:
    """Yield socket, image and process id of an agent that knows the image."""
    root = Path(tempfile.mkdtemp(prefix="sifgate-bench-"))
    try:
        image = _prepare(root, policy=policy)
        command = [sys.executable, "-m", "sifgate.agent.main", "--root", str(root)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout is None or "listening" not in process.stdout.readline():
                    raise SystemExit("bench: the agent did not start")
                yield str(root / "run" / "agent.sock"), image, process.pid
            finally:
                process.terminate()
    finally:
        shutil.rmtree(root)


def _question(image: Path) -> bytes:
    words = ["apptainer", "exec", "--nv", str(image), "mrinfo", "brain.mif"]
    return wire.encode(
        "ask",
        [
            ("door", b"spank"),
            ("uid", b"65534"),
            ("gid", b"65534"),
            ("job", b"42"),
            ("step", b"0"),
            ("node", b"n1"),
            ("nodes", b"1"),
            ("partition", b"main"),
            ("account", b"lab"),
            ("cwd", b"/home/alice"),
            *(("arg", word.encode()) for word in words),
            ("deadline_ms", b"15000"),
        ],
    )


class Shims:
    """Many shims in one loop; `latencies` are seconds from connect to decision."""

    def __init__(self, path: str, image: Path, expected: bytes) -> None:
        self._path = path
        self._image = image
        self._expected = expected
        self._question = _question(image)
        self._opened = wire.encode("opened")
        self._epoll = select.epoll()
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self.latencies: list[float] = []

    def launch(self) -> None:
        """Begin one launch."""
        begun = time.perf_counter()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self._path)
        connection.send(self._question)
        self._open[connection.fileno()] = (connection, begun)
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def serve(self, timeout: float) -> None:
        """Answer the agent's turns for up to `timeout` seconds, or until something was heard."""
        for descriptor, _ in self._epoll.poll(timeout, 4096):
            connection, begun = self._open[descriptor]
            message = connection.recv(wire.PACKET_LIMIT)
            if message.startswith(b"sifgate/1 open\n"):
                image = os.open(self._image, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
                wire.send(connection, self._opened, (image,))
                os.close(image)
            elif message.startswith(b"sifgate/1 decision\n"):
                if self._expected not in message:
                    raise SystemExit(f"bench: not the decision that was expected: {message!r}")
                self.latencies.append(time.perf_counter() - begun)
                connection.close()
                del self._open[descriptor]
            elif not message.startswith(b"sifgate/1 wait\n"):
                raise SystemExit(f"bench: unexpected answer: {message!r}")

    def drain(self) -> None:
        """Wait until every launch has its decision; at most 30 s."""
        end = time.monotonic() + 30
        while self._open:
            if time.monotonic() > end:
                raise SystemExit(f"bench: {len(self._open)} launches without a decision")
            self.serve(0.5)


def _quantiles(latencies: list[float]) -> dict[str, float]:
    shares = {"p50_ms": 0.50, "p99_ms": 0.99, "max_ms": 1.0}
    found = {name: round(quantile(latencies, share) * 1000, 3) for name, share in shares.items()}
    return {**found, "launches": len(latencies)}


def _one_by_one(shims: Shims) -> dict[str, float]:
    for _ in range(ONE_BY_ONE):
        shims.launch()
        shims.drain()
    return _quantiles(shims.latencies)


def _steady(shims: Shims) -> dict[str, float]:
    begin = time.perf_counter()
    for number in range(int(STEADY_RATE * STEADY_SECONDS)):
        due = begin + number / STEADY_RATE
        while (left := due - time.perf_counter()) > 0:
            shims.serve(left)
        shims.launch()
    shims.drain()
    return {**_quantiles(shims.latencies), "per_second": STEADY_RATE}


def _burst(path: str, image: Path, expected: bytes, size: int) -> dict[str, float]:
    totals = []
    for _ in range(REPEATS):
        shims = Shims(path, image, expected)
        begin = time.perf_counter()
        for _ in range(size):
            shims.launch()
        shims.drain()
        totals.append(time.perf_counter() - begin)
        time.sleep(0.2)
    totals.sort()
    return {
        "all_answered_ms": round(totals[len(totals) // 2] * 1000, 1),
        "worst_ms": round(totals[-1] * 1000, 1),
    }


def _measure(policy: str, expected: bytes) -> dict[str, Any]:
    with running_agent(policy) as (path, image, pid):
        warm = Shims(path, image, expected)
        for _ in range(50):
            warm.launch()
            warm.drain()
        process = psutil.Process(pid)
        before = sum(process.cpu_times()[:2])
        steady = _steady(Shims(path, image, expected))
        cpu = (sum(process.cpu_times()[:2]) - before) / steady["launches"]
        return {
            "one_at_a_time": _one_by_one(Shims(path, image, expected)),
            "steady": {**steady, "agent_cpu_us": round(cpu * 1e6)},
            "burst_100": _burst(path, image, expected, 100),
            "burst_1000": _burst(path, image, expected, 1000),
            "agent_resident_mb": round(process.memory_info().rss / 1e6, 1),
            "server_calls": msgspec.json.decode(Client(path).query("status"))["server"]["calls"],
        }


def measure() -> list[Figure]:
    """Return the warm figures: launches that pass, and launches that are refused, which wait for the disk."""
    passing = _measure(POLICY.format(action="log"), b"action:3=log")
    refused = _measure(POLICY.format(action="block"), b"action:5=block")
    disk = "each refusal waits for fdatasync"
    steady, burst = passing["steady"], passing["burst_1000"]
    return [
        Figure("warm decision, one at a time, p50", passing["one_at_a_time"]["p50_ms"], "ms", 1.0),
        Figure("warm decision, one at a time, p99", passing["one_at_a_time"]["p99_ms"], "ms"),
        Figure(f"warm decision at {STEADY_RATE} launches/s, p50", steady["p50_ms"], "ms", 1.0),
        Figure(f"warm decision at {STEADY_RATE} launches/s, p99", steady["p99_ms"], "ms", 5.0),
        Figure("agent's processor time per warm launch", steady["agent_cpu_us"], "µs"),
        Figure("100 launches at once, all answered", passing["burst_100"]["all_answered_ms"], "ms"),
        Figure("1,000 launches at once, all answered", burst["all_answered_ms"], "ms", 150.0),
        Figure("1,000 launches at once, worst of fifteen", burst["worst_ms"], "ms"),
        Figure(
            f"warm refusal at {STEADY_RATE} launches/s, p50", refused["steady"]["p50_ms"], "ms", note=disk
        ),
        Figure(
            f"warm refusal at {STEADY_RATE} launches/s, p99", refused["steady"]["p99_ms"], "ms", note=disk
        ),
        Figure(
            "1,000 refusals at once, all reported", refused["burst_1000"]["all_answered_ms"], "ms", note=disk
        ),
        Figure("agent resident", max(passing["agent_resident_mb"], refused["agent_resident_mb"]), "MB", 80.0),
        Figure("server calls of all warm launches", passing["server_calls"], "calls", 0.0),
    ]


if __name__ == "__main__":
    for figure in measure():
        print(f"{figure.name}: {figure.value} {figure.unit}")
