# SPDX-License-Identifier: Apache-2.0
"""The pages say what is so: links lead somewhere, commands exist, words and tables match the code."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from sifgate.cli.main import build_parser
from sifgate.errors import SifgateError
from sifgate.model.launch import Door
from sifgate.model.verdict import FailureCause, ScanState, UnscannableCause

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
COMMAND = re.compile(
    r"^\s*\$?\s*(?:srun )?sifgate ((?:--\S+(?: \S+)? )*)([a-z][a-z-]*)(?: ([a-z]+))?", re.MULTILINE
)
FENCE = re.compile(r"```(?:sh|console)?\n(.*?)```", re.DOTALL)


def verbs() -> dict[str, set[str]]:
    """Return each verb of the command line with its sub-verbs."""
    found: dict[str, set[str]] = {}
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                found[name] = {
                    inner
                    for each in parser._actions
                    if isinstance(each, argparse._SubParsersAction)
                    for inner in each.choices
                }
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file or directory of this repository."""
    missing = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_in_examples_exist(page: Path) -> None:
    """Every `sifgate VERB` in a fenced example is a verb of the command line."""
    known = verbs()
    for block in FENCE.findall(page.read_text()):
        for _, verb, inner in COMMAND.findall(block):
            assert verb in known, f"{page.name}: sifgate {verb}"
            if known[verb]:
                assert inner in known[verb], f"{page.name}: sifgate {verb} {inner}"


def test_the_readme_is_about_a_page_and_a_half() -> None:
    """The README stays near 150 lines: the rest belongs into docs/."""
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 170


@pytest.mark.parametrize(
    "word", [each.value for kind in (ScanState, UnscannableCause, FailureCause) for each in kind]
)
def test_policy_page_tells_every_state_and_cause(word: str) -> None:
    """docs/policy.md has every scan state, unscannable cause and failure cause, as the policy file spells it."""
    assert f"`{word}`" in (REPOSITORY / "docs/policy.md").read_text()


def test_operations_page_tells_every_exit_code() -> None:
    """docs/operations.md and the README have the same table of exit codes as the command line."""
    for page in ("README.md", "docs/operations.md"):
        text = (REPOSITORY / page).read_text()
        for code, word in ((0, "allowed"), (1, "refused"), (2, "usage"), (3, "decide")):
            assert re.search(rf"\|\s*{code}\s*\|[^|]*{word}", text), f"{page}: exit code {code}"


def test_contributing_names_files_that_exist() -> None:
    """Every path that CONTRIBUTING names is there."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`((?:src|tests|docs|plugin|hooks)/[^`]*)`", text):
        assert (REPOSITORY / path).exists(), path


def test_protocol_page_tells_every_door_in_use() -> None:
    """Doors that code sends are words of the design."""
    used = set()
    for file in [*(REPOSITORY / "plugin").rglob("*.c"), *(REPOSITORY / "hooks").rglob("*.py")]:
        used |= set(re.findall(r'"door", b?"([a-z-]+)"', file.read_text()))
    assert used
    assert used <= {door.value for door in Door}


def test_menu_of_make_names_the_targets_of_the_readme() -> None:
    """Bare `make` prints the menu, and the README's two commands are on it."""
    menu = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for target in ("venv", "demo", "test", "bench", "lint", "clean"):
        assert re.search(rf"^make {target}\b", menu, re.MULTILINE), target


def test_every_error_of_the_tree_has_a_code_of_its_own_or_of_its_parent() -> None:
    """Error codes are stable words for programs; none in the tree of `sifgate.errors` is left at the root's."""
    pending = list(SifgateError.__subclasses__())
    while pending:
        error = pending.pop()
        if error.__module__ == "sifgate.errors":
            assert error.code != "error", error
        pending.extend(error.__subclasses__())
