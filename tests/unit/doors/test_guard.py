# SPDX-License-Identifier: Apache-2.0
"""The door `guard` in a tree that is prepared, and what its status says of a guard that runs."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from sifgate.doors.guard import CONFIGURATION, DOOR, PROGRAM, STATE, UNIT, WANTED
from sifgate.errors import ConfigError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with the package's two files."""
    program, unit = tmp_path / str(PROGRAM)[1:], tmp_path / f"usr/lib/systemd/system/{UNIT}"
    for path in (program, unit):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


def chosen(*words: str) -> argparse.Namespace:
    """Return the options as the command line gives them."""
    parser = argparse.ArgumentParser()
    DOOR.options(parser)
    return parser.parse_args(words)


def test_install_and_remove_are_idempotent(tree: Path) -> None:
    """A second time there is nothing to do; the configuration outlives a removal."""
    assert DOOR.install(tree, chosen()) == [f"{CONFIGURATION}: written", f"{UNIT}: enabled"]
    assert DOOR.install(tree, chosen()) == []
    assert (tree / WANTED[1:]).readlink() == Path(f"/usr/lib/systemd/system/{UNIT}")
    assert DOOR.remove(tree) == [f"{UNIT}: disabled"]
    assert DOOR.remove(tree) == []
    assert (tree / CONFIGURATION[1:]).read_text() == "level runtime\n"


def test_a_configuration_of_the_site_is_kept_unless_options_say_otherwise(tree: Path) -> None:
    """Level image names its file systems."""
    path = tree / CONFIGURATION[1:]
    path.parent.mkdir(parents=True)
    path.write_text("# ours\nlevel runtime\n")
    DOOR.install(tree, chosen())
    assert path.read_text().startswith("# ours")
    DOOR.install(tree, chosen("--level", "image", "--filesystem", "/scratch", "--filesystem", "/home"))
    assert path.read_text() == "level image\nfilesystem /scratch\nfilesystem /home\n"


@pytest.mark.parametrize(
    "words",
    [("--level", "image"), ("--level", "runtime", "--filesystem", "/x"), ("--filesystem", "x")],
)  # fmt: skip
def test_options_that_do_not_fit_change_nothing(tree: Path, words: tuple[str, ...]) -> None:
    """The guard itself would refuse them at its start."""
    with pytest.raises(ConfigError):
        DOOR.install(tree, chosen(*words))
    assert not (tree / WANTED[1:]).is_symlink()


def test_without_its_package_it_is_not_installed(tmp_path: Path) -> None:
    """And that is no complaint: it is opt-in."""
    with pytest.raises(ConfigError):
        DOOR.install(tmp_path, chosen())
    state = DOOR.state(tmp_path)
    assert (state.present, state.applicable, state.problem) == (False, False, "")


def test_switched_on_but_not_running_is_a_problem(tree: Path) -> None:
    """As after a start that was declined."""
    DOOR.install(tree, chosen())
    state = DOOR.state(tree)
    assert (state.present, "does not run" in state.problem) == (False, True)
    (tree / str(PROGRAM)[1:]).unlink()
    assert DOOR.state(tree).remedy == "sifgate guard remove"


def test_a_running_guard_tells_how_it_is(tree: Path) -> None:
    """Level, marks, refusals and gaps; one without marks is a problem, a dead one's file counts for nothing."""
    path = tree / STATE[1:]
    path.parent.mkdir(parents=True)
    script = "open('/proc/self/comm','w').write('sifgate-guard'); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        text = "sifgate-guard 1\npid {}\nlevel image\nready 1\nmarks {}\ndenied 3\nlate 2\nrestarts 0\n"
        path.write_text(text.format(process.pid, 7))
        state = DOOR.state(tree)
        assert (state.present, state.problem) == (True, "")
        assert state.detail == "level image, 7 marks, 3 refused; gaps: late 2"
        path.write_text(text.format(process.pid, 0))
        assert DOOR.state(tree).problem.startswith("nothing is marked")
        process.communicate("\n")
    assert not DOOR.state(tree).present


@pytest.mark.parametrize(
    "text", ["", "sifgate-guard 1\n", "sifgate-guard 1\npid x\nlevel a\nmarks 1\ndenied 1\n", "\0\n\n"]
)
def test_a_state_file_that_says_nothing_is_no_guard(tree: Path, text: str) -> None:
    """Half written, empty, or somebody else's."""
    path = tree / STATE[1:]
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert not DOOR.state(tree).present
