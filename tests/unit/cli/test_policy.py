# SPDX-License-Identifier: Apache-2.0
"""`sifgate policy`: errors where the administrator wrote them, and installation that leaves one whole policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

GOOD = """\
schema: sifgate.policy/v1
mode: enforce
contact: security@site.example
scan_wait: 7s
failure: {agent_unreachable: block}
rules:
  - {id: kev, when: {kev: true, fixable: true}, action: block}
"""
BAD = GOOD.replace("action: block}\n", "actoin: block}\n")
SHIPPED = Path(__file__).parents[3] / "etc/sifgate/policy.yaml"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a policy file that can be installed."""
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Return a policy file with a misspelt key."""
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    return path


def test_the_shipped_policy_is_valid(sifgate: Run) -> None:
    """What `etc/` holds can be installed as it is."""
    done = sifgate("policy", "validate", str(SHIPPED))
    assert done.code == 0, done.err
    assert "valid: mode audit" in done.out


def test_a_valid_policy_is_summed_up(good: Path, sifgate: Run) -> None:
    """Mode, number of rules and digest, for people and for programs."""
    assert "valid: mode enforce, 1 rules, sha256:" in sifgate("policy", "validate", str(good)).out
    document = sifgate("policy", "validate", "--format", "json", str(good)).document
    assert (document["valid"], document["mode"], document["rules"]) == (True, "enforce", 1)


def test_an_error_names_its_place_and_the_nearest_key(bad: Path, sifgate: Run) -> None:
    """File, line, column and what was probably meant."""
    done = sifgate("policy", "validate", str(bad))
    assert done.code == 2
    assert f"{bad}:7:" in done.err
    assert "action" in done.err
    document = sifgate("policy", "validate", "--format", "json", str(bad)).document
    assert document["valid"] is False
    assert f"{bad}:7:" in document["error"]


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_policy_that_is_no_file_is_exit_code_2(name: str, tmp_path: Path, sifgate: Run) -> None:
    """Nothing to read is not an empty policy."""
    for task in ("validate", "install"):
        done = sifgate("policy", task, str(tmp_path / name))
        assert (done.code, done.out) == (2, "")
        assert "hint" in done.err


def test_installing_replaces_policy_and_posture(good: Path, root: Path, sifgate: Run) -> None:
    """Both files are world-readable, whole, and say the same; the agent that is not there is mentioned."""
    done = sifgate("policy", "install", str(good))
    assert done.code == 0, done.err
    assert (root / "etc/policy.yaml").read_text() == GOOD
    assert (root / "etc/posture").read_text() == (
        "sifgate-posture 1\nagent_unreachable block\nscan_wait_ms 7000\ncontact security@site.example\n"
    )
    assert {path.stat().st_mode & 0o777 for path in (root / "etc").iterdir()} == {0o644}
    assert sorted(path.name for path in (root / "etc").iterdir()) == ["policy.yaml", "posture"]
    assert "the agent was not told" in done.out
    assert "valid: mode enforce" in sifgate("policy", "validate").out


def test_directories_are_looked_for_where_the_policy_will_lie(good: Path, root: Path, sifgate: Run) -> None:
    """Not beside the file that is being installed; and one that is missing there changes nothing."""
    good.write_text(GOOD + "exceptions: {directory: exceptions.d}\n")
    done = sifgate("policy", "install", str(good))
    assert done.code == 2
    assert "exceptions.d: no such directory" in done.err
    assert not (root / "etc/policy.yaml").exists()
    (root / "etc/exceptions.d").mkdir()
    done = sifgate("policy", "install", str(good))
    assert done.code == 0, done.err


def test_a_bad_policy_changes_nothing(good: Path, bad: Path, root: Path, sifgate: Run) -> None:
    """The policy in force stays, and nothing is left lying about."""
    assert sifgate("policy", "install", str(good)).code == 0
    before = {path.name: path.read_bytes() for path in (root / "etc").iterdir()}
    done = sifgate("policy", "install", str(bad))
    assert done.code == 2
    assert f"{bad}:7:" in done.err
    assert {path.name: path.read_bytes() for path in (root / "etc").iterdir()} == before


def test_drop_ins_are_part_of_what_is_validated(good: Path, root: Path, sifgate: Run) -> None:
    """A policy that only fails together with `policy.d` is refused, with the drop-in's place."""
    (root / "etc/policy.d").mkdir()
    (root / "etc/policy.d/50-site.yaml").write_text(
        "rules:\n  - {id: kev, when: {kev: true}, action: nonsense}\n"
    )
    done = sifgate("policy", "install", str(good))
    assert done.code == 2
    assert "50-site.yaml" in done.err
    assert not (root / "etc/policy.yaml").exists()
    assert [path.name for path in (root / "etc").iterdir()] == ["policy.d"]


def test_a_directory_that_others_can_write_is_refused(good: Path, root: Path, sifgate: Run) -> None:
    """Who can write the directory can replace the policy."""
    (root / "etc").chmod(0o777)
    done = sifgate("policy", "install", str(good))
    assert done.code == 2
    assert "etc" in done.err
    assert not (root / "etc/policy.yaml").exists()
