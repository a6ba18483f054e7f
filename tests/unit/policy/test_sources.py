# SPDX-License-Identifier: Apache-2.0
"""A policy and all files that it is made of: read once, stored, loaded again without them; and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.unit.policy.builders import NOON, finding, launch, standing

from sifgate.errors import PolicyError
from sifgate.model.decision import Action
from sifgate.policy.evaluate import evaluate
from sifgate.policy.load import draft_policy, load_policy, load_with_sources, policy_of, policy_sources
from sifgate.policy.sources import PolicySources, Role

HEAD = "schema: sifgate.policy/v1\n"
MAIN = f"""{HEAD}mode: enforce
exceptions: {{directory: exceptions.d, writable_by: {{group: secops}}}}
vex: {{directory: vex, trusted_authors: [security@site.example]}}
rules: [{{id: kev, when: {{kev: true}}, action: block}}]
"""
ENTRY = {
    "id": "SEC-1",
    "vulnerability": "CVE-2025-1",
    "reason": "not reachable",
    "author": "alice",
    "created": "2026-08-01",
    "expires": "2026-09-30",
}
DOCUMENT = {
    "@context": "https://openvex.dev/ns/v0.2.0",
    "@id": "https://site.example/vex/1",
    "author": "security@site.example",
    "timestamp": "2026-08-01T00:00:00Z",
    "version": 1,
    "statements": [
        {
            "vulnerability": {"name": "CVE-2025-2"},
            "products": [{"@id": "pkg:deb/debian/git"}],
            "status": "not_affected",
            "justification": "component_not_present",
        }
    ],
}


def excepting(**changes: Any) -> str:
    """Return an exceptions file of one entry."""
    return json.dumps({"schema": "sifgate.exceptions/v1", "exceptions": [ENTRY | changes]})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Make a policy with a drop-in, an exception and a VEX document; return its main file."""
    for name, content in (
        ("policy.yaml", MAIN),
        ("policy.d/10.yaml", f"{HEAD}contact: me\n"),
        ("exceptions.d/a.yaml", excepting()),
        ("exceptions.d/README", "not read"),
        ("vex/1.json", json.dumps(DOCUMENT)),
        ("vex/notes.txt", "not read"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path / "policy.yaml"


def test_sources_hold_every_file_and_make_the_same_policy_elsewhere(site: Path) -> None:
    """Written as JSON and read back, without the files, they give the same digest and the same decisions."""
    sources, loaded = load_with_sources(site)
    assert [(Path(file.path).name, file.role) for file in sources.files] == [
        ("policy.yaml", Role.POLICY),
        ("10.yaml", Role.POLICY),
        ("a.yaml", Role.EXCEPTION),
        ("1.json", Role.VEX),
    ]
    assert sources.writable_by.group == "secops"
    assert sources.exception_directory == str(site.parent / "exceptions.d")
    stored = msgspec.json.encode(policy_sources(site))
    for path in sorted(site.parent.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    again = policy_of(msgspec.json.decode(stored, type=PolicySources))
    assert again.digest == loaded.digest
    for name, action in (
        ("CVE-2025-1", Action.ALLOW),
        ("CVE-2025-2", Action.ALLOW),
        ("CVE-2025-3", Action.BLOCK),
    ):
        known = standing(finding(vulnerability=name, kev=True))
        assert evaluate(again, known, launch(), NOON) == evaluate(loaded, known, launch(), NOON)
        assert evaluate(again, known, launch(), NOON).action is action


def test_exceptions_and_statements_are_part_of_the_digest(site: Path) -> None:
    """Whoever changes an exception changes the policy's name, and reads of it in the record."""
    before = load_policy(site).digest
    (site.parent / "exceptions.d/a.yaml").write_text(excepting(expires="2026-10-01"))
    changed = load_policy(site).digest
    (site.parent / "vex/1.json").unlink()
    assert len({before, changed, load_policy(site).digest}) == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("exceptions.d/a.yaml", "exceptions: [", r"exceptions\.d/a\.yaml:1:"),
        ("exceptions.d/a.yaml", excepting(expires="soon"), r"exceptions\.d/a\.yaml:1:[0-9]+: .*a date"),
        ("exceptions.d/b.yaml", excepting(), r"exceptions\.d/b\.yaml:1:[0-9]+: .*SEC-1"),
        ("exceptions.d/b.yml", excepting(), r"b\.yml: not read: policy files end in \.yaml"),
        ("exceptions.d/b.yaml", "x" * 300_000, r"b\.yaml:1:1: the file is larger"),
        ("vex/1.json", "{", r"vex/1\.json"),
        ("vex/2.json", '{"hello": 1}', r"vex/2\.json: .*neither OpenVEX nor CSAF"),
        ("policy.d/20.yaml", f"{HEAD}modus: warn\n", r"policy\.d/20\.yaml:2:1: unknown key"),
    ],
)
def test_file_that_cannot_be_read_fails_the_load_with_its_place(
    site: Path, name: str, content: str, words: str
) -> None:
    """Nothing of a policy is left out in silence."""
    (site.parent / name).write_text(content)
    with pytest.raises(PolicyError, match=words):
        load_policy(site)


def test_directory_that_is_not_there_is_an_error(site: Path) -> None:
    """Exceptions that vanish would stop jobs that ran yesterday; the agent keeps what it has."""
    (site.parent / "exceptions.d").rename(site.parent / "moved")
    with pytest.raises(PolicyError, match=r"exceptions\.d: no such directory"):
        load_policy(site)


def test_draft_needs_no_exceptions(site: Path) -> None:
    """A policy is looked at before it lies where its directories are."""
    elsewhere = site.parent / "home" / "policy.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(MAIN)
    assert [rule.id for rule in draft_policy(elsewhere).rules] == ["kev"]
    with pytest.raises(PolicyError, match=r"home/exceptions\.d: no such directory"):
        load_policy(elsewhere)


def test_link_among_the_exceptions_is_refused(site: Path) -> None:
    """Who may write there could have root read and quote any file."""
    secret = site.parent / "secret"
    secret.write_text("root:x:0:0\n")
    (site.parent / "exceptions.d/b.yaml").symlink_to(secret)
    with pytest.raises(PolicyError, match="a symbolic link is not read here") as caught:
        load_policy(site)
    assert "root:x" not in str(caught.value)


def test_file_that_never_ends_is_refused_at_once(site: Path) -> None:
    """A named pipe has no writer; nobody waits for one."""
    os.mkfifo(site.parent / "exceptions.d/b.yaml")
    with pytest.raises(PolicyError, match=r"b\.yaml: not a regular file"):
        load_policy(site)


def test_sources_without_a_policy_are_an_error() -> None:
    """An empty bundle is not an empty policy."""
    with pytest.raises(PolicyError, match="hold no policy file"):
        policy_of(PolicySources(()))
