# SPDX-License-Identifier: Apache-2.0
"""The house rules that no linter checks: sizes, names, what may not stand in a tracked file."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
FORBIDDEN_NAMES = frozenset({"util", "utils", "common", "helper", "helpers", "manager", "base", "misc"})
CODE_DIRECTORIES = ("src", "testbed", "bench", "tests", "hooks")

# Written in pieces, so that this file does not contain what it looks for.
REGISTRY_HOSTS = re.compile(
    r"\b("
    + "|".join(("p" + r"ypi\.org", r"files\.python" + r"hosted", r"(deb|ftp|archive)\.debian" + r"\.org"))
    + r")\b"
    r"|\b("
    + "|".join((r"proxy\.golang" + r"\.org", r"registry\.npm" + r"js", r"(static\.)?crates" + r"\.io"))
    + r")\b"
    r"|\b(" + "|".join((r"repo1?\.maven" + r"\.", r"snapshot\.debian" + r"\.org")) + r")\b"
)
MACHINE_PATHS = re.compile(r"/wo" + r"rk/(main|shared|\.library)\b")
SPDX = "SPDX-License" + "-Identifier: Apache-2.0"
SPDX_SUFFIXES = frozenset({".py", ".c", ".h", ".sh", ".go"})
NO_TEXT = frozenset({".gz", ".sif", ".zip", ".png", ".zst", ".squashfs"})
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")


def tracked_files() -> tuple[Path, ...]:
    """Return what git tracks, or would (new files that are not ignored); without git, what lies in the tree."""
    words = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, capture_output=True, check=False) if shutil.which("git") else None
    if done is not None and done.returncode == 0:
        paths = [ROOT / name.decode() for name in done.stdout.split(b"\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not {".venv", ".git", "__pycache__"} & set(path.parts)]
    return tuple(sorted(path for path in paths if path.is_file() and not path.is_symlink()))


TRACKED = tracked_files()
PYTHON = tuple(path for path in TRACKED if path.suffix == ".py")


def name_of(path: Path) -> str:
    """Return a test's name for a file."""
    return str(path.relative_to(ROOT))


def lines_with(pattern: re.Pattern[str], paths: Iterator[Path]) -> list[str]:
    """Return `file:line: text` of every match."""
    found = []
    for path in paths:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:120]}")
    return found


def texts() -> Iterator[Path]:
    """Yield the tracked text files."""
    return (path for path in TRACKED if path.suffix not in NO_TEXT)


def test_python_files_stay_short() -> None:
    """A file holds one noun, so it stays within 400 lines."""
    long = {
        name_of(path): count
        for path in PYTHON
        if (count := len(path.read_text().splitlines())) > MAX_FILE_LINES
    }
    assert not long


def test_functions_stay_short() -> None:
    """A function stays within 60 lines, its docstring included."""
    long = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{name_of(path)}:{node.lineno}: {node.name} has {lines} lines")
    assert not long


def test_packages_hold_a_docstring_only() -> None:
    """Importing a package of sifgate imports nothing else: `__init__.py` is its docstring."""
    full = []
    for path in (ROOT / "src").rglob("__init__.py"):
        tree = ast.parse(path.read_text())
        if ast.get_docstring(tree) is None or len(tree.body) > 1:
            full.append(name_of(path))
    assert not full


def test_no_module_is_named_after_nothing() -> None:
    """Modules and directories are nouns of the field, never a drawer for the rest."""
    code = [path for path in TRACKED if path.relative_to(ROOT).parts[0] in CODE_DIRECTORIES]
    bad = [
        name_of(path) for path in code if FORBIDDEN_NAMES & {part.partition(".")[0] for part in path.parts}
    ]
    assert not bad


def test_no_registry_is_named() -> None:
    """Where packages come from is the host's business: no tracked file names a registry's host."""
    assert not lines_with(REGISTRY_HOSTS, texts())


def test_no_path_of_a_developers_machine() -> None:
    """Tracked files work in any clone: none names a directory of the machine it was written on."""
    assert not lines_with(MACHINE_PATHS, texts())


def test_sources_carry_their_licence() -> None:
    """Each source file states its licence in one line near the top."""
    sources = [path for path in TRACKED if path.suffix in SPDX_SUFFIXES or path.name == "Makefile"]
    bare = [name_of(path) for path in sources if SPDX not in "\n".join(path.read_text().splitlines()[:3])]
    assert not bare


def test_nothing_is_left_unfinished() -> None:
    """Work that is not done belongs into an issue, not into a comment."""
    assert not lines_with(UNFINISHED, (path for path in texts() if path.suffix in SPDX_SUFFIXES))


def error_classes() -> list[str]:
    """Return the names of the classes in errors.py, read without importing it."""
    tree = ast.parse((ROOT / "src/sifgate/errors.py").read_text())
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


@pytest.mark.parametrize(
    "name", [name for name in error_classes() if name not in {"SifgateError", "ImageError", "ScannerError"}]
)
def test_every_error_is_expected_by_some_test(name: str) -> None:
    """A failure path that never ran is not trusted: each leaf of the error tree is expected by a test."""
    here = Path(__file__)
    tests = [path for path in PYTHON if "tests" in path.relative_to(ROOT).parts[:1] and path != here]
    expected = re.compile(rf"raises\([^)]*\b{name}\b|except [^:]*\b{name}\b")
    assert any(expected.search(path.read_text()) for path in tests)
