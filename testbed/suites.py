# SPDX-License-Identifier: Apache-2.0
"""`make test`: the quick tests and the ones that wait for real daemons, side by side: each would leave a core idle.

Both are ordinary pytest runs under coverage. The second one's output is shown when it is over, so that lines do not
mix; the last line counts both.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

PATIENT = ("tests/cluster", "tests/packaging", "tests/apptainer", "tests/integration")
"""Directories whose tests mostly wait, for Slurm, package managers, a real Clair; about as long as all the others."""
TESTS = Path("tests")
_COUNT = re.compile(r"(\d+) (passed|failed|error|skipped|xfailed)")
_SUMMARY = re.compile(r"^(?:=+ )?\d+ (?:passed|failed|error|skipped)\b.* in [0-9.]+s.*$", re.MULTILINE)


def run_suites(options: Sequence[str]) -> int:
    """Run all tests with pytest's `options`; return 0, or pytest's exit status of a half that failed."""
    patient = [path for path in PATIENT if Path(path).is_dir()]
    quick = [str(path) for path in sorted(TESTS.iterdir()) if path.is_dir() and str(path) not in PATIENT]
    with tempfile.TemporaryFile("w+") as beside, tempfile.TemporaryFile("w+") as shown:
        second = subprocess.Popen(
            _pytest(options, [path for path in quick if _holds_tests(path)]),
            stdin=subprocess.DEVNULL,
            stdout=beside,
            stderr=subprocess.STDOUT,
        )
        try:
            first = _run_shown(_pytest(options, patient), shown)
            status = second.wait()
        finally:
            if second.poll() is None:
                second.terminate()
                second.wait()
        texts = [_text(shown), _text(beside)]
    print(texts[1], flush=True)
    counts = _counted(texts)
    print(
        f"{counts['passed']} passed, {counts['failed'] + counts['error']} failed, {counts['skipped']} skipped"
    )
    return first or status


def _pytest(options: Sequence[str], paths: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "coverage", "run", "-m", "pytest", *options, *paths]


def _holds_tests(path: str) -> bool:
    return any(Path(path).rglob("test_*.py"))


def _run_shown(command: list[str], copy: TextIO) -> int:
    """Run a command, its output shown as it comes and kept."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            copy.write(line)
        return process.wait()


def _text(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def _counted(texts: Sequence[str]) -> Counter[str]:
    """Return the numbers of pytest's last lines, added up."""
    counts: Counter[str] = Counter()
    for text in texts:
        for number, word in _COUNT.findall((_SUMMARY.findall(text) or [""])[-1]):
            counts[word] += int(number)
    return counts
