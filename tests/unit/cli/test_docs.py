# SPDX-License-Identifier: Apache-2.0
"""What the documentation says of the command line, of states, causes and variables is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sifgate.cli.main import VERBS
from sifgate.config import Places
from sifgate.model.launch import Door
from sifgate.model.verdict import FailureCause, ScanState, UnscannableCause
from sifgate.origin.environment import NAMES, PREFIXES, SECRETS
from sifgate.origin.injection import _ALWAYS
from sifgate.policy.load import load_policy

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


def text(name: str) -> str:
    """Return a page of the documentation."""
    return (DOCS / name).read_text(encoding="utf-8")


def rows(page: str) -> dict[str, list[str]]:
    """Return the rows of all tables of a page by their first cell, code marks taken away."""
    found: dict[str, list[str]] = {}
    for line in page.splitlines():
        if line.startswith("| "):
            first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            found[first.strip("`")] = cells
    return found


@pytest.mark.parametrize("state", ScanState)
def test_every_state_is_explained(state: ScanState) -> None:
    """A state that users can meet stands in the concepts."""
    assert state.value in rows(text("concepts.md"))


@pytest.mark.parametrize("word", [*FailureCause, *UnscannableCause])
def test_every_cause_is_explained_where_it_is_looked_for(word: FailureCause | UnscannableCause) -> None:
    """Causes stand in the concepts and in the failure modes of the operations page."""
    assert f"`{word.value}`" in text("concepts.md")
    assert word.value in text("operations.md")


@pytest.mark.parametrize("door", Door)
def test_the_doors_that_exist_are_named(door: Door) -> None:
    """A word that stands in records is explained."""
    assert f"`{door.value}`" in text("concepts.md")


def test_the_shipped_actions_are_those_of_the_shipped_policy() -> None:
    """The table of failure modes says what the file in `etc/` says."""
    stance = load_policy(ROOT / "etc/sifgate/policy.yaml").stance
    page = text("operations.md")
    for cause in FailureCause:
        if cause is FailureCause.AGENT_UNREACHABLE:
            line = next(line for line in page.splitlines() if line.startswith("| agent not running"))
        else:
            line = next(
                line for line in page.splitlines() if line.startswith("|") and f" | `{cause.value}` |" in line
            )
        assert f"| `{stance.failure[cause].word}` |" in line, cause
    pending = next(line for line in page.splitlines() if line.startswith("| image being scanned longer"))
    actions = (stance.scan_states[state].word for state in (ScanState.PENDING, ScanState.PENDING_EXHAUSTED))
    assert "| " + ", ".join(f"`{action}`" for action in actions) + " |" in pending


def test_commands_in_the_documentation_exist() -> None:
    """Every `sifgate VERB` that is shown can be typed."""
    known = {verb.name for verb in VERBS}
    for page in ("operations.md", "concepts.md", "policy.md", "whatif.md"):
        blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text(page), re.DOTALL))
        shown = re.findall(r"^(?:\$ )?sifgate ([a-z-]+)", blocks, re.MULTILINE)
        shown += re.findall(r"`sifgate ([a-z][a-z-]*)\b(?! listening)", text(page))
        assert set(shown) <= known, page


def test_the_variables_of_the_protocol_are_those_that_parsers_read() -> None:
    """A shim is written from the protocol page."""
    paragraph = re.search(r"\*\*`env`\*\*.*?\n\n", text("protocol.md"), re.DOTALL)
    assert paragraph is not None
    words = set(re.findall(r"[A-Za-z_]+", paragraph.group()))
    plain = {prefix for prefix in PREFIXES if not prefix.startswith("SPANK_")}
    assert NAMES | plain | set(SECRETS) <= words


def test_the_plugin_sends_what_parsers_read() -> None:
    """The list in the C plugin and the list in Python are one."""
    source = (ROOT / "plugin/client/environment.c").read_text(encoding="utf-8")
    lists = re.findall(r"static const char \*const (\w+)\[\] = \{(.*?)\};", source, re.DOTALL)
    found = {name: set(re.findall(r'"([^"]+)"', body)) for name, body in lists}
    assert found["names"] == NAMES
    assert found["prefixes"] == {prefix for prefix in PREFIXES if not prefix.startswith(("_", "SPANK_"))}
    assert found["secrets"] == set(SECRETS)


def test_what_injects_content_is_listed() -> None:
    """Options that always count are named in the concepts."""
    page = text("concepts.md")
    assert all(f"`--{option}`" in page for option in _ALWAYS)


def test_the_places_are_those_of_the_code() -> None:
    """The paths of an installation by root."""
    places = Places.of_system()
    page = text("operations.md")
    assert all(str(path) in page for path in (places.etc, places.run, places.state, places.log))
