# SPDX-License-Identifier: Apache-2.0
"""plugstack.conf as sites write it, and as nobody should; read in a tree of files, without any Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from sifgate.doors import prolog, slurm, submit
from sifgate.doors.memory import Memory
from sifgate.doors.placed import below
from sifgate.doors.plugstack import MAX_FILES, Line, Plugstack
from sifgate.doors.spank import DOOR
from sifgate.errors import ConfigError

LINE = Line("required", "/usr/lib/sifgate/spank/24.11/sifgate.so", ("socket=/run/x",))


def _tree(root: Path, **files: str) -> Path:
    """Make files below /etc/slurm: `plugstack_conf` is plugstack.conf, `a__b` is a/b."""
    for name, text in files.items():
        path = root / "etc/slurm" / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _lines(root: Path) -> list[str]:
    return [str(line) for line in Plugstack(root).lines()]


def test_lines_includes_and_comments_are_read_as_slurm_reads_them(tmp_path: Path) -> None:
    """In their order, globs sorted, relative ones beside the including file, what follows # left out."""
    top = "# first\n required  a.so  x=1 # said\ninclude more/*.conf\n\n"
    top += "include /etc/slurm/last.conf\nnonsense\nrequired\n"
    _tree(
        tmp_path,
        plugstack_conf=top,
        more__b_conf="optional b.so\n",
        more__a_conf="Optional a2.so\n",
        more__c_txt="optional c.so\n",
        last_conf="required z.so\n",
    )
    assert _lines(tmp_path) == ["required a.so x=1", "optional a2.so", "optional b.so", "required z.so"]


@pytest.mark.parametrize(
    "text",
    [
        "include plugstack.conf\n" * 9 + "required a.so\n",
        "include /etc/slurm/*\n",
        "include /etc\ninclude \ninclude [\n",
        "\0\0required\0a.so\n",
        "required a.so " + "x" * 1_000_000,
    ],
    ids=["includes itself", "includes all", "no glob", "NUL", "long"],
)
def test_odd_files_are_read_to_an_end(tmp_path: Path, text: str) -> None:
    """Nothing is raised, nothing runs away."""
    _tree(tmp_path, plugstack_conf=text)
    assert len(_lines(tmp_path)) <= MAX_FILES


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    """A site's comment in another encoding is kept when our line in that file becomes a comment."""
    path = _tree(tmp_path, plugstack_conf="") / "etc/slurm/plugstack.conf"
    path.write_bytes(b"# gr\xfc\xdfe\nrequired /opt/sifgate.so\noptional other.so\n")
    assert DOOR.remove(tmp_path) == ["/etc/slurm/plugstack.conf: `required /opt/sifgate.so` is a comment now"]
    kept = b"# gr\xfc\xdfe\n# taken out by sifgate: required /opt/sifgate.so\noptional other.so\n"
    assert path.read_bytes() == kept
    assert DOOR.remove(tmp_path) == []


def test_our_place_is_what_the_site_includes(tmp_path: Path) -> None:
    """The directory of the first include that would find our file; the usual one where there is none."""
    assert Plugstack(tmp_path).place == Path("/etc/slurm/plugstack.conf.d/sifgate.conf")
    _tree(tmp_path, plugstack_conf="include /etc/pyxis.conf\ninclude /etc/site/spank/*.conf\n")
    stack = Plugstack(tmp_path)
    assert (stack.place, stack.included()) == (Path("/etc/site/spank/sifgate.conf"), True)


def test_slurm_conf_may_name_another_plugstack(tmp_path: Path) -> None:
    """PlugStackConfig counts, whatever its case."""
    _tree(
        tmp_path,
        slurm_conf="plugstackconfig = /etc/slurm/mine.conf # the site's\n",
        mine_conf="required m.so\n",
    )
    assert _lines(tmp_path) == ["required m.so"]


def test_a_line_is_written_taken_out_and_known_again(tmp_path: Path) -> None:
    """Taken out it is a comment that tells what to put back."""
    _tree(tmp_path, plugstack_conf="include /etc/slurm/plugstack.conf.d/*.conf\n")
    stack = Plugstack(tmp_path)
    assert stack.write(LINE)
    assert not stack.write(LINE)
    assert (stack.in_force(), str(stack.written())) == (True, str(LINE))
    stack.take_out(LINE, "no plugin\nrequired evil.so")
    assert (stack.in_force(), str(stack.written()), stack.lines()) == (False, str(LINE), [])


def test_a_fetched_plugstack_is_never_changed(tmp_path: Path) -> None:
    """On a configless node the controller's file is a copy; a relative include of it leads nowhere."""
    conf = below(tmp_path, slurm.CONFIGLESS)
    conf.mkdir(parents=True)
    (conf / "slurm.conf").touch()
    (conf / "plugstack.conf").write_text("include plugstack.conf.d/*.conf\n")
    stack = Plugstack(tmp_path)
    assert (stack.fetched, stack.included()) == (True, False)
    assert stack.place == Path("/etc/slurm/plugstack.conf.d/sifgate.conf")
    with pytest.raises(ConfigError, match="controller"):
        stack.include()
    (conf / "plugstack.conf").write_text("required /x/sifgate.so\n")
    with pytest.raises(ConfigError, match="controller"):
        DOOR.remove(tmp_path)
    assert (conf / "plugstack.conf").read_text() == "required /x/sifgate.so\n"


def test_without_slurm_there_is_nothing_to_do(tmp_path: Path) -> None:
    """Not applicable, no complaint; an install says why it cannot be."""
    for door in (DOOR, prolog.DOOR, submit.DOOR):
        state = door.state(tmp_path)
        assert (state.present, state.applicable, state.problem) == (False, False, "")
        assert door.remove(tmp_path) == []


def test_the_last_of_contradicting_installs_is_done_last_again(tmp_path: Path) -> None:
    """`--required`, `--optional`, `--required` again: a package's trigger ends with what was said last."""
    memory = Memory(tmp_path)
    for options in ([], ["--required"], ["--optional"], ["--required"]):
        memory.installed("spank", options)
    assert memory.options("spank") == [[], ["--optional"], ["--required"]]


PROLOG = "usr/libexec/sifgate"


def _prolog(root: Path) -> Path:
    """Make a node whose slurm.conf names our prolog, with all its files."""
    for part in ("prolog", *prolog.PARTS):
        path = root / PROLOG / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
    (root / "usr/sbin").mkdir(parents=True)
    (root / "usr/sbin/slurmd").touch(0o755)
    return _tree(root, slurm_conf=f"prolog=/etc/other\nProlog=/{PROLOG}/prol*\n")


def test_the_prolog_is_switched_off_never_deleted(tmp_path: Path) -> None:
    """Slurmd drains a node whose prolog is missing; a switch makes it do nothing."""
    tree = _prolog(tmp_path)
    door = prolog.DOOR
    assert door.state(tree).present
    assert "take the line out" in door.remove(tree)[1]
    assert door.remove(tree) == []
    assert (door.state(tree).present, (tree / PROLOG / "prolog").exists()) == (False, True)
    assert door.install(tree, object()) == [f"{prolog.SWITCH}: removed"]  # type: ignore[arg-type]
    assert door.install(tree, object()) == []  # type: ignore[arg-type]


def test_a_prolog_that_is_named_and_not_there_is_a_problem(tmp_path: Path) -> None:
    """Said before the first job drains its node."""
    tree = _prolog(tmp_path)
    (tree / PROLOG / "sifgate/wire.py").unlink()
    state = prolog.DOOR.state(tree)
    assert (state.present, "drains" in state.problem) == (False, True)
    with pytest.raises(ConfigError, match="not there"):
        prolog.DOOR.install(tree, object())  # type: ignore[arg-type]


def test_a_prolog_that_is_not_named_is_told_of(tmp_path: Path) -> None:
    """The line in slurm.conf is the administrator's."""
    tree = _prolog(tmp_path)
    (tree / "etc/slurm/slurm.conf").write_text("#Prolog=/usr/libexec/sifgate/prolog\nPrologFlags=Alloc\n")
    assert not prolog.DOOR.state(tree).present
    (said,) = prolog.DOOR.install(tree, object())  # type: ignore[arg-type]
    assert said.endswith(prolog.WANTED)
