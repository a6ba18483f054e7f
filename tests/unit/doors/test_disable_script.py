# SPDX-License-Identifier: Apache-2.0
"""`/usr/libexec/sifgate/disable`: takes away, without Python, what the doors put there; `enable` puts it back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sifgate.cli import main
from sifgate.doors import oci, oci_conf
from sifgate.doors.door import LIBEXEC
from sifgate.doors.memory import Memory
from sifgate.doors.runtime import MARK

SCRIPT = Path(__file__).parents[3] / "hooks/disable"
PLUGSTACK = "optional /usr/lib/other.so\nrequired /usr/lib/sifgate/spank/24.11/sifgate.so timing=/x\n"
OCI_CONF = 'RunTimeRun="crun run --bundle %b %n"\n'
PROGRAM = b"\x7fELF the runtime"


def program(path: Path, content: bytes) -> Path:
    """Write something that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with doors in place: spank by hand, wrapper, oci-hook and enroot-hook by their verbs."""
    root = tmp_path / "tree"
    libexec = root / LIBEXEC.relative_to("/")
    program(libexec / "sifgate-wrapper", b"\x7fELF" + MARK)
    program(libexec / "sifgate-ask", b"\x7fELF ask")
    program(libexec / "prolog", b"#!/bin/sh\n")
    for place in ("usr/bin", "opt/tools/bin"):
        program(root / place / "apptainer", PROGRAM)
    (root / "etc/slurm/plugstack.conf.d").mkdir(parents=True)
    (root / "etc/slurm/plugstack.conf").write_text("include /etc/slurm/plugstack.conf.d/*\n")
    (root / "etc/slurm/plugstack.conf.d/sifgate.conf").write_text(PLUGSTACK)
    (root / "etc/slurm/oci.conf").write_text(OCI_CONF)
    for words in (["oci-hook", "install", "--slurm"], ["wrapper", "install"]):
        assert main.main([*words, "--tree", str(root)]) == 0
    assert main.main(["wrapper", "install", "--prefix", "/opt/tools", "--tree", str(root)]) == 0
    assert main.main(["enroot-hook", "install", "--tree", str(root)]) == 0
    return root


def disable(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the script in an environment without anything of Python."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        ["sh", str(SCRIPT), str(tree)], env=environment, capture_output=True, text=True, check=False
    )


def test_every_door_goes_and_nothing_else(tree: Path) -> None:
    """Files of the site keep their other lines; twice is as good as once."""
    done = disable(tree)
    assert (done.returncode, done.stderr) == (0, "")
    for place in ("usr/bin", "opt/tools/bin"):
        assert (tree / place / "apptainer").read_bytes() == PROGRAM
        assert not (tree / place / "apptainer.real").exists()
    text = (tree / "etc/slurm/plugstack.conf.d/sifgate.conf").read_text()
    assert text == PLUGSTACK.replace("required", "#was: required")
    assert (tree / "etc/slurm/oci.conf").read_text() == OCI_CONF
    for name in oci.FILES:
        assert not (tree / oci.HOOKS.lstrip("/") / name).exists()
    assert not (tree / "etc/enroot/hooks.d/50-sifgate.sh").exists()
    assert (tree / "etc/sifgate/prolog.off").exists()
    assert sorted(Memory(tree).disabled()) == ["enroot-hook", "oci-hook", "prolog", "spank", "wrapper"]
    assert disable(tree).stdout == ""


def test_enable_puts_back_what_the_script_took(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The script remembers as `sifgate disable` does."""
    disable(tree)
    assert main.main(["enable", "wrapper", "oci-hook", "enroot-hook", "--tree", str(tree)]) == 0
    capsys.readouterr()
    for place in ("usr/bin", "opt/tools/bin"):
        assert MARK in (tree / place / "apptainer").read_bytes()
    assert "sifgate-ask run" in (tree / "etc/slurm/oci.conf").read_text()
    assert (tree / oci.HOOKS.lstrip("/") / "sifgate.json").exists()
    assert Memory(tree).disabled() == ["spank", "prolog"]


def test_a_tree_without_sifgate_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing is said, nothing is made."""
    done = disable(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_the_words_before_slurms_runtime_are_those_of_the_door() -> None:
    """The script's pattern is a copy: it must know what the door writes today."""
    for runtime in ("crun run --bundle %b x", "apptainer exec %r x"):
        line = f'RunTimeRun="{runtime}"\n'
        assert "sifgate-ask run" in oci_conf.with_ask(line)
        pattern = SCRIPT.read_text().split("asks='")[1].split("\n")[0].removesuffix("'").replace("'\\''", "'")
        done = subprocess.run(
            ["sed", "-E", f"s#{pattern}##"],
            input=oci_conf.with_ask(line),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == line
