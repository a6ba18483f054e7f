# SPDX-License-Identifier: Apache-2.0
"""An agent in a thread of the test, with the real policy, socket, cache and log, and a worker that a test can steer."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sifgate.agent import memo
from sifgate.agent.wiring import Agent
from sifgate.audit.record import AuditRecord
from sifgate.client import Client
from sifgate.config import AgentSettings, AuditSettings, Places, ServerSettings, Settings
from sifgate.image.fingerprint import fingerprint
from sifgate.model.image import CoverageFacts, Extraction
from sifgate.wire import Message

POLICY = """\
schema: sifgate.policy/v1
mode: enforce
contact: security@site.example
scan_wait: 5s
pending_passes: 2
rules:
  - id: kev-fixable
    when: {kev: true, fixable: true}
    action: block
"""


def digest_of(content: bytes) -> str:
    """Return the fingerprint that the steerable worker gives to a file of this content."""
    return fingerprint(1, "sha256:" + hashlib.sha256(content).hexdigest(), CoverageFacts())


class Worker:
    """Takes the file's bytes for its slim layer."""

    def __init__(self) -> None:
        self.runs = 0
        self.gate = threading.Event()
        """Workers wait here when `held`."""
        self.held = False
        self.error: Exception | None = None
        self.on_run: Callable[[], object] = lambda: None

    def __call__(self, descriptor: int) -> tuple[Extraction, int]:
        """Return the extraction and a descriptor of the layer."""
        self.runs += 1
        if self.held:
            self.gate.wait(30)
        if self.error is not None:
            raise self.error
        content = b"a directory"
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor, no path
            content = os.pread(descriptor, 1 << 20, 0)
        self.on_run()
        layer = os.memfd_create("layer")
        os.write(layer, content)
        os.lseek(layer, 0, os.SEEK_SET)
        name = "sha256:" + hashlib.sha256(content).hexdigest()
        facts = CoverageFacts()
        return Extraction(fingerprint(1, name, facts), 1, name, len(content), facts), layer


def write_policy(root: Path, text: str = POLICY) -> None:
    """Write the site's policy."""
    (root / "etc").mkdir(mode=0o755, parents=True, exist_ok=True)
    (root / "etc" / "policy.yaml").write_text(text, encoding="utf-8")


def announce(root: Path, server: ServerSettings) -> None:
    """Write what the embedded engine would: where the server is."""
    (root / "run").mkdir(mode=0o755, exist_ok=True)
    content = {
        "url": server.url,
        "certificate_file": str(server.certificate_file),
        "token_file": str(server.token_file),
    }
    (root / "run" / "server.json").write_text(json.dumps(content), encoding="utf-8")


class RunningAgent:
    """An agent below `root`."""

    def __init__(
        self,
        root: Path,
        server: ServerSettings,
        *,
        agent: AgentSettings | None = None,
        audit: AuditSettings | None = None,
        real_worker: bool = False,
    ) -> None:
        self.root = root
        self.worker = Worker()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGIO, signal.SIG_IGN)
        settings = Settings(server, agent or AgentSettings(), audit or AuditSettings(ship=False))
        self.agent = Agent(Places.under(root), settings, extract=None if real_worker else self.worker)
        announce(root, server)
        self.agent.start()
        self._thread = threading.Thread(target=self.agent.loop.run, daemon=True)
        self._thread.start()
        self.client = Client(str(self.agent.socket_path))

    def stop(self) -> None:
        """End as SIGTERM would."""
        self.agent.loop.stop()
        self._thread.join(10)
        self.agent.close()

    def ask(self, path: Path | str, *, door: str = "spank", uid: int = 1000, **fields: Any) -> Message:
        """Ask as root's shim of a user would."""
        words = {"door": door, "uid": str(uid), "gid": str(uid), "cwd": "/", "path": str(path), **fields}
        deadline = float(words.pop("deadline", 20.0))
        return self.client.ask(
            [(key, os.fsencode(str(value))) for key, value in words.items()], deadline=deadline
        )

    def action(self, path: Path | str, **fields: Any) -> str:
        """Return just the action of a decision."""
        return self.ask(path, **fields).text("action")

    def query(self, verb: str, **fields: Any) -> Any:
        """Return the decoded answer to a query."""
        words = [(key, str(value).encode()) for key, value in fields.items()]
        return msgspec.json.decode(self.client.query(verb, words))

    def records(self) -> list[AuditRecord]:
        """Return the audit log, what the chain tells of the log itself left out."""
        lines = self.agent.log.path.read_bytes().splitlines()
        records = [msgspec.json.decode(line, type=AuditRecord) for line in lines]
        return [record for record in records if record.outcome != "chain"]


def eventually(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what `holds` returns once it is true; fail after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if found or time.monotonic() > end:
            assert found, "condition not met in time"
            return found
        time.sleep(0.01)


def settled_file(path: Path, content: bytes) -> Path:
    """Write a file, and wait until it is old enough for its identity to be believed."""
    path.write_bytes(content)
    eventually(lambda: time.time_ns() - path.stat().st_ctime_ns > memo.YOUNG_LOCAL_NS + 50_000_000)
    return path
