# SPDX-License-Identifier: Apache-2.0
"""One wrapper in a directory of its own, compiled with sanitizers; the program behind it is a witness."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.cluster.scripted import Step

REPOSITORY = Path(__file__).resolve().parents[2]
NOTICE = 'sifgate: launch refused: 2 CVEs (rule "kev")\n  why    CVE-2025-48384\n  ref    7QX4-19'
BLOCK: list[Step] = [("decide", "block", {"notice": NOTICE, "reference": "7QX4-19"})]
WARN: list[Step] = [("decide", "warn", {"notice": NOTICE})]
ALLOW: list[Step] = [("decide", "allow", {})]


def compile_wrapper(out: Path) -> None:
    """Build the wrapper, with sanitizers, to look for everything in `out`; and the witness."""
    client = REPOSITORY / "plugin/client"
    names = {"SOCKET": "agent.sock", "POSTURE": "posture", "RUN_JUDGED": "run-judged", "LOG": "log"}
    words = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{client}"]
    defines = [f'-DSIFGATE_{key}="{out / name}"' for key, name in names.items()]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [*sorted((REPOSITORY / "hooks/wrapper").glob("*.c")), *sorted(client.glob("*.c"))]
    subprocess.run([*words, *sanitizers, *defines, *sources, "-o", out / "wrapper"], check=True)
    subprocess.run(
        ["gcc", "-D_GNU_SOURCE", "-O1", REPOSITORY / "tests/native/witness.c", "-o", out / "witness"],
        check=True,
    )


class Stage:
    """One wrapper in a directory of its own, what it runs, and what that has seen."""

    def __init__(self, built: Path, place: Path) -> None:
        self.built = built
        self.place = place
        self.socket = built / "agent.sock"
        self.posture = built / "posture"
        self.program = place / "apptainer"
        self.report = place / "report"
        shutil.copy(built / "wrapper", self.program)
        shutil.copy(built / "witness", f"{self.program}.real")

    def put_posture(self, action: str) -> None:
        """Set what counts without an agent."""
        self.posture.write_text(
            f"sifgate-posture 1\nagent_unreachable {action}\nscan_wait_ms 1000\ncontact sec@site\n"
        )
        self.posture.chmod(0o644)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables of a run."""
        return {
            "PATH": os.environ["PATH"],
            "WITNESS": str(self.report),
            "ASAN_OPTIONS": "detect_leaks=0",
            **(more or {}),
        }

    def run(
        self, *words: str | bytes, env: Mapping[str, str] | None = None, limit: float = 20, **more: object
    ) -> subprocess.CompletedProcess[str]:
        """Run the wrapper."""
        self.report.unlink(missing_ok=True)
        command: Sequence[str | bytes] = ["apptainer", *words]
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command,
            executable=self.program,
            env=self.environment(env),
            cwd=self.place,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            **more,
        )

    def saw(self, key: str) -> list[bytes]:
        """Return what the program was given, of one kind; empty where it never ran."""
        entries = self.report.read_bytes().split(b"\0") if self.report.exists() else []
        return [entry.partition(b"=")[2] for entry in entries if entry.startswith(key.encode() + b"=")]

    @property
    def ran(self) -> bool:
        """Return whether the program was started."""
        return self.report.exists()
