# SPDX-License-Identifier: Apache-2.0
"""Wheel and sdist of sifgate, and complete Python environments for another release's interpreter.

An environment is what `python -m venv` would make, with every package from the hash-pinned lock file::

    /usr/lib/sifgate/agent/bin/python3          → /usr/bin/python3.13, of the distribution
    /usr/lib/sifgate/agent/pyvenv.cfg
    /usr/lib/sifgate/agent/lib/python3.13/site-packages/…     with bytecode

Nothing of it is fetched or built on the node. Only wheels are taken, and only those that glibc 2.28 can load.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.cache import key_of, obtain

from sifpack.errors import PackagingError, run, say
from sifpack.series import GLIBC, Series, machine

SOURCE = Path(__file__).resolve().parents[2]
LOCKS = {"agent": "requirements/base.txt", "server": "requirements/engine.txt"}
"""Environment → lock file; the server's also has what `sifgate up` needs on a single machine."""


RECIPE = "1"
"""Raise it when an environment is made in another way."""


def version() -> str:
    """Return the project's version."""
    found = re.search(r'^version = "([^"]+)"', (SOURCE / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise PackagingError("pyproject.toml names no version")
    return found[1]


def build_wheel(out: Path, *, sdist: bool = True) -> Path:
    """Build the wheel (and the sdist) into `out`, with the build backend of this environment; return the wheel."""
    kinds = ["--wheel", "--sdist"] if sdist else ["--wheel"]
    own = [
        "--offline",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        str(out),
        str(SOURCE),
    ]
    with tempfile.TemporaryDirectory(prefix="sifgate-wheel-") as scratch:  # uv leaves its locks there
        run(
            [_uv(), "--no-config", "build", "--quiet", *kinds, *own],
            environment={**os.environ, "TMPDIR": scratch},
        )
    (out / ".gitignore").unlink(missing_ok=True)
    return next(out.glob(f"sifgate-{version()}-*.whl"))


def make_environment(root: Path, part: str, series: Series, wheel: Path) -> None:
    """Fill `root/usr/lib/sifgate/PART` with the environment for a series' Python."""
    home = root / "usr/lib/sifgate" / part
    packages = home / f"lib/python{series.python}/site-packages"
    shutil.copytree(_dependencies(part, series), packages)
    own = ["--no-deps", "--offline", "--no-index", str(wheel)]
    run([*_install(packages, series), *own], environment=_uv_environment())
    _tidy(packages, part)
    (home / "bin").mkdir()
    for name in ("python3", "python"):
        (home / "bin" / name).symlink_to(f"/usr/bin/python{series.python}")
    (home / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {series.python}\n"
    )
    _compile(packages / "sifgate", _place(part, series) / "sifgate", series)
    if not _interpreter(series):
        (home / "compile").touch()  # the package's steps do it on the node


def _dependencies(part: str, series: Series) -> Path:
    """Return the packages of a lock file for a series, with bytecode; kept in the testbed's cache."""
    lock = SOURCE / LOCKS[part]

    def build(work: Path) -> None:
        say(f"Python packages of the {part} for Python {series.python}")
        pinned = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
        run([*_install(work / "packages", series), *pinned], environment=_uv_environment())
        _tidy(work / "packages", part)
        _compile(work / "packages", _place(part, series), series)

    key = key_of(
        RECIPE, lock.read_bytes(), series.python, machine(), GLIBC, _interpreter(series) and "compiled"
    )
    return obtain("environment", f"{part}-{series.python}", key, build) / "packages"


def _install(packages: Path, series: Series) -> list[str]:
    install = [_uv(), "--no-config", "pip", "install", "--quiet", "--link-mode", "copy"]
    return [*install, "--target", str(packages), *_where(series)]


def _place(part: str, series: Series) -> Path:
    """Return where the packages will lie on the node."""
    return Path(f"/usr/lib/sifgate/{part}/lib/python{series.python}/site-packages")


_ENGINE_ONLY = ("sifgate/engine/data", "zstandard/_cffi.*.so")
"""Not needed by an agent: advisories for an engine of its own, a second implementation that needs cffi."""


def _tidy(packages: Path, part: str) -> None:
    """Remove what only matters where packages are installed by pip, and what the agent never loads."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for path in (path for pattern in _ENGINE_ONLY if part == "agent" for path in packages.glob(pattern)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for pattern in (".lock", "*.dist-info/direct_url.json", "*.dist-info/uv_cache.json"):
        for path in packages.glob(pattern):
            path.unlink()


def _compile(packages: Path, place: Path, series: Series) -> None:
    """Compile to bytecode that is believed without looking at the source, under the path that it will have."""
    interpreter = _interpreter(series)
    if not interpreter:
        say(f"no Python {series.python} on this host: packages for {series.name} are compiled when installed")
        return
    run([interpreter, "-I", "-m", "compileall", "-q", "-f", "-s", str(packages), "-p", str(place),
         "--invalidation-mode", "unchecked-hash", str(packages)])  # fmt: skip


@functools.cache
def _interpreter(series: Series) -> str:
    """Return an interpreter of exactly the series: on PATH, else one that pyenv keeps; "" where there is none."""
    name = f"python{series.python}"
    candidates = [shutil.which(name)]
    if shutil.which("pyenv"):
        answer = subprocess.run(
            ["pyenv", "prefix", series.python], capture_output=True, text=True, check=False
        )
        candidates.append(f"{answer.stdout.strip()}/bin/{name}" if answer.returncode == 0 else None)
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        answer = subprocess.run([candidate, "-Ic", script], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == series.python:
            return candidate
    return ""


def fetch_wheels(out: Path, series: Series) -> None:
    """Download every wheel of server and engine for a series' Python, hash-checked, for a site without network."""
    out.mkdir(parents=True, exist_ok=True)
    tags = [f"manylinux_{minor}_{machine()}" for minor in ("2_28", "2_27", "2_17", "2_12", "2_5")]
    tags += [f"{name}_{machine()}" for name in ("manylinux2014", "manylinux2010", "manylinux1")]
    platforms = [word for tag in tags for word in ("--platform", tag)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
           "--require-hashes", "--only-binary", ":all:", "--python-version", series.python, *platforms]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="sifgate-wheels-") as scratch:
        requirements = Path(scratch) / "requirements.txt"
        run([_uv(), "--no-config", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--generate-hashes",
             *_where(series), "--no-deps", "-o", str(requirements), str(SOURCE / LOCKS["server"])],
            environment=_uv_environment())  # fmt: skip
        run([*pip, "-d", str(out), "-r", str(requirements)])


def _where(series: Series) -> list[str]:
    """Return for whom uv resolves and installs: pip itself would judge markers by the Python that it runs in."""
    platform = f"{machine()}-manylinux_{GLIBC.replace('.', '_')}"
    return ["--python-version", series.python, "--python-platform", platform]


def _uv() -> str:
    """Return the uv beside this interpreter."""
    return str(Path(sys.executable).with_name("uv"))


def _uv_environment() -> dict[str, str]:
    """Return the environment for uv: the system's certificates, and the index that pip was told of."""
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    index = os.environ.get("PIP_INDEX_URL") or answer.stdout.strip()
    own = {"UV_SYSTEM_CERTS": "1", "UV_NO_PROGRESS": "1"}
    return {**os.environ, **own, **({"UV_DEFAULT_INDEX": index} if index else {})}
