# SPDX-License-Identifier: Apache-2.0
"""`sifgate DOOR install | remove | status`, `disable`, `enable`: what is done, said and remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sifgate.cli import doors, main
from sifgate.doors import table
from sifgate.doors.memory import Memory
from sifgate.errors import ConfigError

if TYPE_CHECKING:
    from tests.unit.doors.conftest import Run, Wicket


def test_install_and_remove_say_what_they_did_once(sifgate: Run, tree: Path) -> None:
    """Twice is as good as once, and says that nothing was to do."""
    assert sifgate("wrapper", "install") == (0, "sifgate: wrapper: made usr/wrapper\n", "")
    assert sifgate("wrapper", "install") == (0, "sifgate: wrapper: nothing was to do\n", "")
    assert sifgate("wrapper", "status")[0] == 0
    assert sifgate("wrapper", "remove") == (0, "sifgate: wrapper: removed usr/wrapper\n", "")
    assert sifgate("wrapper", "remove") == (0, "sifgate: wrapper: nothing was to do\n", "")
    assert sifgate("wrapper", "status")[0] == 3
    assert not (tree / "usr/wrapper").exists()


def test_status_has_a_document(sifgate: Run) -> None:
    """Programs read the same state."""
    code, out, _ = sifgate("guard", "status", "--format", "json")
    assert (code, json.loads(out)["present"]) == (3, False)


def test_disable_takes_all_and_enable_puts_back_as_it_was(sifgate: Run, tree: Path) -> None:
    """Options of every install are remembered; a door that was not there is not put there."""
    sifgate("wrapper", "install")
    sifgate("wrapper", "install", "--prefix", "usr-module")
    code, out, _ = sifgate("disable")
    assert code == 0
    assert out.count("removed") == 2
    assert not list(tree.rglob("usr*/wrapper"))
    assert sifgate("disable") == (0, "sifgate: nothing was to do: no door is in place\n", "")
    assert sifgate("enable")[0] == 0
    assert (tree / "usr/wrapper").exists()
    assert (tree / "usr-module/wrapper").exists()
    assert not (tree / "usr/guard").exists()
    assert "no door is disabled" in sifgate("enable")[1]


def test_what_is_disabled_comes_back_by_enable_alone(sifgate: Run, tree: Path) -> None:
    """A package's trigger that installs the door again must not undo what the administrator did."""
    sifgate("wrapper", "install")
    sifgate("disable", "wrapper")
    code, out, _ = sifgate("wrapper", "install", "--prefix=usr-new")
    assert (code, "is disabled and stays so" in out) == (0, True)
    assert not list(tree.rglob("usr*/wrapper"))
    sifgate("enable", "wrapper")
    assert (tree / "usr-new/wrapper").exists()


def test_remove_forgets(sifgate: Run, tree: Path) -> None:
    """What was removed for good is not put back by enable."""
    sifgate("wrapper", "install")
    sifgate("disable")
    sifgate("wrapper", "remove")
    assert sifgate("enable") == (0, "sifgate: nothing was to do: no door is disabled\n", "")
    assert Memory(tree).options("wrapper") == []


@pytest.mark.parametrize("why", ["its package is half configured", "disk"])
def test_a_door_that_resists_keeps_no_other_in_place(
    sifgate: Run, wickets: dict[str, Wicket], tree: Path, why: str
) -> None:
    """The others go; exit code 2 and the door's name say that one stayed."""
    for name in wickets:
        sifgate(name, "install")
    wickets["wrapper"].resists = why
    code, out, err = sifgate("disable")
    assert (code, "wrapper: " in err) == (2, True)
    assert "guard: removed" in out
    assert not (tree / "usr/guard").exists()


def test_a_door_whose_code_is_broken_keeps_no_other_in_place(
    sifgate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that cannot be imported is said, and passed over."""
    sifgate("guard", "install")
    monkeypatch.setitem(table.MODULES, "wrapper", "nowhere")
    code, out, err = sifgate("disable")
    assert code == 2
    assert "wrapper: its code cannot be loaded" in err
    assert "guard: removed" in out


def test_a_full_disk_keeps_no_door_in_place(
    sifgate: Run, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be remembered is said, and taken away all the same."""
    sifgate("guard", "install")

    def full(_self: Memory, _name: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Memory, "disable", full)
    code, _, err = sifgate("disable")
    assert (code, "`sifgate guard install` puts it back" in err) == (0, True)
    assert not (tree / "usr/guard").exists()


def test_the_settings_may_be_broken(sifgate: Run, tree: Path, tmp_path: Path) -> None:
    """Disable reads neither settings nor policy."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for name in ("sifgate.yaml", "policy.yaml"):
        (root / "etc" / name).write_text("{{{ nonsense")
    sifgate("guard", "install")
    assert sifgate("--root", str(root), "disable")[0] == 0
    assert not (tree / "usr/guard").exists()


@pytest.mark.parametrize("words", [("disable", "dor"), ("enable", "dor"), ("enable", "guard")])
def test_words_that_are_no_door_are_said(sifgate: Run, words: tuple[str, ...]) -> None:
    """A typing error takes nothing away; a door that was not disabled is named."""
    code, _, err = sifgate(*words)
    assert code == 2
    assert words[1] in err


def test_options_that_are_no_longer_known_are_said(sifgate: Run, tree: Path) -> None:
    """An upgrade may have dropped an option that was remembered: the door stays disabled, the others come back."""
    for name in ("wrapper", "guard"):
        sifgate(name, "install")
    Memory(tree).installed("wrapper", ["--gone", "x"])
    sifgate("disable")
    code, _, err = sifgate("enable")
    assert (code, "--gone" in err) == (2, True)
    assert Memory(tree).disabled() == ["wrapper"]
    assert (tree / "usr/guard").exists()


def test_the_host_is_roots(wickets: dict[str, Wicket], monkeypatch: pytest.MonkeyPatch) -> None:
    """A user is told, before anything is touched; in a tree of his own he may."""
    del wickets
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for words in (["disable"], ["enable"], ["wrapper", "install"], ["guard", "remove"]):
        assert main.main(words) == 2
    with pytest.raises(ConfigError, match="only root"):
        doors.need_root(Path("/"), "disable")
    doors.need_root(Path("/srv/tree"), "disable")


def test_a_root_that_reads_as_the_hosts_is_not_the_hosts() -> None:
    """/proc/PID/root is not resolved, and the host's root is itself by any name."""
    assert doors.checked(Path("/usr/..")) == Path("/")
    assert doors.checked(Path("/usr")) == Path("/usr")
    with pytest.raises(ConfigError, match="no such directory"):
        doors.checked(Path("/nowhere/at/all"))


@pytest.mark.parametrize("verb", [verb for verb in main.VERBS if verb.door], ids=lambda verb: verb.name)
def test_the_menu_says_of_a_door_what_it_says_itself(verb: main.Verb, tmp_path: Path) -> None:
    """The menu imports no door, so its words are a copy; a door of that name is there and looks at any tree."""
    door = table.find(verb.name)
    assert (door.name, door.summary) == (verb.name, verb.help)
    assert not door.state(tmp_path).present
    assert door.remove(tmp_path) == []


def test_every_door_of_the_table_is_a_verb() -> None:
    """`disable` knows exactly the doors that can be put in place."""
    assert list(table.MODULES) == [verb.name for verb in main.VERBS if verb.door]
