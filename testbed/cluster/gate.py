# SPDX-License-Identifier: Apache-2.0
"""sifgate beside a cluster: the whole gate below one root, or an agent of one node that asks a gate's server."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from testbed.cache import cache_root
from testbed.errors import TestbedError

POLICY = Path(__file__).resolve().parents[2] / "etc/sifgate/examples/enforcing.yaml"
"""Under which everything here runs, unless a test says otherwise."""
_COUNTED = ("GET /v1/verdicts", "PUT /v1/layers", "POST /v1/steps")


def sifgate(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line tool for the gate or agent below `root`."""
    command = [sys.executable, "-m", "sifgate.cli.main", "--root", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@contextlib.contextmanager
def gate(root: Path) -> Iterator[Path]:
    """Bring database, Clair, server and agent up below `root`; take them down at the end."""
    (root / "etc").mkdir(exist_ok=True)
    shutil.copy(POLICY, root / "etc/policy.yaml")
    try:
        up = sifgate(root, "up", "--cache", str(cache_root()))
        if up.returncode != 0:
            raise TestbedError(f"`sifgate up` ended with {up.returncode}:\n{up.stdout}{up.stderr}")
        yield root
    finally:
        sifgate(root, "down")
        for name in ("policy.yaml", "posture"):
            (root / "etc" / name).unlink(missing_ok=True)


def announced(root: Path) -> dict[str, str]:
    """Return how an agent reaches the server of the gate below `root`."""
    found: dict[str, str] = json.loads((root / "run/server.json").read_text())
    return found


def asked(root: Path) -> int:
    """Return how many requests on behalf of launches the gate's server has received: verdicts, layers, steps."""
    server = announced(root)
    token = Path(server["token_file"]).read_text().strip()
    answer = requests.get(
        f"{server['url']}/v1/status",
        headers={"Authorization": f"Bearer {token}"},
        verify=server["certificate_file"],
        timeout=10,
    )
    answer.raise_for_status()
    counts: dict[str, int] = answer.json()["requests"]
    return sum(counts.get(kind, 0) for kind in _COUNTED)


class NodeAgent:
    """The agent of one node, a process of its own; `root` is the node's."""

    def __init__(self, root: Path, server: dict[str, str], policy: str = "") -> None:
        """Start it: `server` is what a gate has announced, `policy` is appended to the policy."""
        settings = "".join(f"  {key}: {value}\n" for key, value in server.items())
        (root / "etc/sifgate.yaml").write_text(f"server:\n{settings}")
        (root / "etc/policy.yaml").write_text(POLICY.read_text() + policy)
        self.root = root
        command = [sys.executable, "-m", "sifgate.agent.main", "--root", str(root)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if "listening" not in self.process.stdout.readline():
            raise TestbedError(f"the agent of {root.name} did not start")

    def status(self) -> dict[str, Any]:
        """Return what `sifgate status` tells of it."""
        found: dict[str, Any] = json.loads(sifgate(self.root, "status", "--format", "json").stdout)["agent"]
        return found

    def kill(self) -> None:
        """End it as by `kill -9`."""
        self.process.kill()

    def end(self) -> None:
        """End it cleanly, or see that it has ended."""
        self.process.terminate()
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def clear(self) -> None:
        """End it and remove all that it wrote and was configured with."""
        self.end()
        for name in ("etc", "state", "log", "run"):
            for path in (self.root / name).glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def records(root: Path, door: str = "spank") -> list[dict[str, Any]]:
    """Return the audit records of one door below `root`, oldest first."""
    lines = (root / "log/audit.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["door"] == door]
