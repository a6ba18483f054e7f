# SPDX-License-Identifier: Apache-2.0
"""`sifgate-ask`, compiled with sanitizers, and called as its callers call it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NOTICE = 'sifgate: launch refused: 1 of 1 (rule "r")\n  why    CVE-1\n  do     rebuild'
FIRST_LINE = NOTICE.splitlines()[0]
NOBODY = 65_534
_CALLER = '"$@"; exit $?'
"""A parent whose standard error is the program's."""
_RUNTIME = '); status=$?; [ "$SILENT" ] || echo "the runtime ends" >&2; exit $status'
"""The end of a runtime: its hook has another standard error than itself, and it says something too."""


def compile_ask(out: Path) -> Path:
    """Return the program, built below `out` so that a sanitizer's complaint ends it with 99."""
    program = out / "sifgate-ask"
    sanitizers = "-fsanitize=address,undefined -fno-sanitize-recover=all"
    subprocess.run(
        [
            *("make", "-s", "-C", REPOSITORY / "hooks", f"OUT={out}", "LINK=-pie"),
            *(f"CFLAGS=-O1 -g {sanitizers}", f"LDFLAGS={sanitizers}", program),
        ],
        check=True,
    )
    out.chmod(0o755)
    return program


@dataclass(frozen=True)
class Spoken:
    """How a hook ended, what it said itself, and what it said through its runtime."""

    status: int
    own: str
    runtime: str


class Asking:
    """The program with a socket and a posture of its own, below `place`."""

    def __init__(self, program: Path, place: Path) -> None:
        self.program = program
        self.place = place
        self.socket = place / "agent.sock"
        self.posture = place / "posture"
        self.state("allow")

    def state(self, action: str, wait_ms: int = 3000) -> None:
        """Write the posture: what happens without an answer, and how long a launch may wait for one."""
        self.posture.write_text(
            f"sifgate-posture 1\nagent_unreachable {action}\nscan_wait_ms {wait_ms}\ncontact help@site.example\n"
        )

    def words(self, mode: str, *words: str | Path) -> list[str | Path]:
        """Return the command line."""
        return [self.program, "--socket", self.socket, "--posture", self.posture, mode, *words]

    def run(
        self,
        mode: str,
        *words: str | Path,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        uid: int = 0,
        before: Sequence[str | Path] = (),
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it; `before` are words before its command line, `uid` whom to run it as."""
        become = ["setpriv", f"--reuid={uid}", "--regid", str(uid), "--clear-groups", "--"] if uid else []
        done = subprocess.run(
            ["sh", "-c", _CALLER, "caller", *become, *before, *self.words(mode, *words)],
            input=stdin,
            env=self.environment(env),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 99, done.stderr.decode(errors="replace")
        return done

    def hook(
        self,
        mode: str = "oci",
        *,
        runtime_words: Sequence[str | Path] = (),
        redirect: str = "",
        stdin: bytes = b'{"id": "x"}',
        env: Mapping[str, str] | None = None,
        own: str = "",
        silent: bool = False,
    ) -> Spoken:
        """Run it as a runtime runs a hook; `redirect` is applied to the runtime itself, `own` is its hook's stderr."""
        hook = shlex.join(map(str, self.words(mode)))
        kept = Path(own) if own else self.place / "own"
        done = subprocess.run(
            ["sh", "-c", f'{redirect} (exec 2>"$OWN"; exec {hook} {_RUNTIME}', "runtime", *runtime_words],
            input=stdin,
            env={**self.environment(env), "OWN": str(kept), "SILENT": "1" if silent else ""},
            cwd=self.place,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 99, done.stderr.decode(errors="replace")
        said = "" if own else kept.read_text()
        return Spoken(done.returncode, said, done.stderr.decode(errors="replace"))

    @staticmethod
    def environment(env: Mapping[str, str] | None) -> dict[str, str]:
        """Return a bare environment with `env` added."""
        return {
            "PATH": os.environ["PATH"],
            "ASAN_OPTIONS": "exitcode=99:detect_leaks=0",
            "UBSAN_OPTIONS": "exitcode=99",
            **(env or {}),
        }
